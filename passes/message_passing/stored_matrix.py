"""Constants that a graph may hold as integers: ``DequantizeLinear(A_q, scale)`` is one."""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import constant_array, float_constant
from octavo.passes.wiring import int_attribute, produced_by


def stored_numbers(value: ir.Value | None) -> NDArray[np.float32] | None:
    """The float32 numbers of a constant, stored as such or as integers with scales.

    Args:
        value: Any.

    Returns:
        None where the value is computed, or its scales belong to blocks.
    """
    stored = float_constant(value)
    back = produced_by(value, "DequantizeLinear")
    if stored is not None or back is None:
        return stored
    integers, scale = constant_array(back.inputs[0]), constant_array(back.inputs[1])
    if integers is None or scale is None or scale.ndim > 1:
        return None
    zero_point = np.zeros((), np.int32)
    if len(back.inputs) > 2 and back.inputs[2] is not None:
        found = constant_array(back.inputs[2])
        if found is None:
            return None
        zero_point = found.astype(np.int32)
    if scale.ndim == 1 and scale.size > 1:
        along = [1] * integers.ndim
        along[int_attribute(back, "axis", 1)] = -1
        scale = scale.reshape(along)
        zero_point = zero_point.reshape(along) if zero_point.size > 1 else zero_point
    centred = integers.astype(np.int32) - zero_point
    numbers: NDArray[np.float32] = centred.astype(np.float32) * scale.astype(np.float32)
    return numbers
