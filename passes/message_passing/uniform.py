"""Tensors of one number everywhere: folded, or too large for that."""

import numpy as np
import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.wiring import is_op

_REPEATS = ("Expand", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def uniform_number(value: ir.Value | None) -> float | None:
    """The number that all elements of a constant are, whatever the shape; else None."""
    while value is not None:
        array = constant_array(value)
        if array is not None:
            same = array.size > 0 and bool((array == array.reshape(-1)[0]).all())
            return float(np.asarray(array).reshape(-1)[0]) if same else None
        node = value.producer()
        if node is None:
            return None
        if is_op(node, "ConstantOfShape"):
            number = node.attributes.get("value")
            return 0.0 if number is None else float(number.as_tensor().numpy().reshape(-1)[0])
        if not is_op(node, *_REPEATS):
            return None
        value = node.inputs[0]
    return None
