"""DequantizeLinear of constants -> float constants: the same values, computed once.

In a float network with stored integers, other runtimes would dequantize weights in every run.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, numpy_helper

FLOATS = frozenset({TensorProto.FLOAT})  # types of scales that are folded


def write_float_weights(source: Path, target: Path) -> bool:
    """Write a file's model with its integer constants in float.

    Args:
        source: ONNX file, which keeps its weights inside.
        target: File to write; left alone where there is nothing to fold.

    Returns:
        Whether it was written.
    """
    model = onnx.load(source, load_external_data=False)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    if any(tensor.external_data for tensor in graph.initializer):
        return False
    kept, folded = [], []
    for node in graph.node:
        array = _dequantized(node, constants)
        if array is None:
            kept.append(node)
        else:
            folded.append(numpy_helper.from_array(array, node.output[0]))
    if not folded:
        return False
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(folded)
    onnx.save(model, target)
    return True


def _dequantized(
    node: NodeProto, constants: dict[str, TensorProto]
) -> NDArray[np.float32] | None:
    """What a node gives, if that is constant and has a scale for the tensor or each slice."""
    names = [name for name in node.input if name]
    if node.op_type != "DequantizeLinear" or not all(name in constants for name in names):
        return None
    if constants[names[1]].data_type not in FLOATS:
        return None
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if attributes.get("block_size", 0):
        return None
    integers, scale = (numpy_helper.to_array(constants[name]) for name in names[:2])
    exact = integers.astype(np.float32)
    if len(names) > 2:
        zero = numpy_helper.to_array(constants[names[2]])
        exact = exact - _along(zero.astype(np.float32), exact.ndim, attributes)
    result: NDArray[np.float32] = exact * _along(scale, exact.ndim, attributes)
    return result


def _along(values: NDArray[Any], rank: int, attributes: dict[str, Any]) -> NDArray[Any]:
    """One value for the tensor or for each slice, in the shape that broadcasts."""
    if values.size == 1:
        return values.reshape(())
    shape = [1] * rank
    shape[int(attributes.get("axis", 1))] = values.size
    return values.reshape(shape)
