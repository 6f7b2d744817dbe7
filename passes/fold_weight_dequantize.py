"""Turn constants that are stored as integers into float, unless they are ready weights.

``DequantizeLinear(q, scale, zero_point)`` of constants -> a float constant. An int8 weight
with zero point 0 and a scale for the tensor or for each output channel stays: rounding it
again at another scale would add error. In a model that is quantized already, an 8-bit constant
with one scale stays as well: it is an operand of integer kernels. So does an int32 bias: it
adds to their accumulators as it is. So do weights of 16 bits or with a scale for each block:
then it can be said why a layer is in float. So does a matrix on the left of a MatMul with a
scale for each row: the adjacency of a graph.
"""

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import NameSource, add_constant, constant_array
from octavo.passes.quantizable_operators import stored_int8_weight, weight_inputs
from octavo.passes.wiring import int_attribute, is_op

FLOAT8 = frozenset(
    {
        ir.DataType.FLOAT8E4M3FN,
        ir.DataType.FLOAT8E4M3FNUZ,
        ir.DataType.FLOAT8E5M2,
        ir.DataType.FLOAT8E5M2FNUZ,
    }
)
WITH_BIAS, BIAS = ("Conv", "ConvTranspose", "Gemm"), 2  # operators; index of their bias


class FoldWeightDequantize(ir.passes.InPlacePass):
    """Fold every DequantizeLinear of constants that is not a ready weight."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        stored = [node for node in graph if is_op(node, "DequantizeLinear")]
        is_quantized = any(is_op(node, "QuantizeLinear") for node in graph)
        folded = [
            node
            for node in stored
            if not (is_quantized and _says_more_than_float(node)) and _fold(graph, names, node)
        ]
        return ir.passes.PassResult(model, modified=bool(folded))


def _says_more_than_float(node: ir.Node) -> bool:
    q, scale = constant_array(node.inputs[0]), constant_array(node.inputs[1])
    if q is None or scale is None:
        return False
    if q.dtype == np.int32:
        return all(
            is_op(use.node, "Add") or (is_op(use.node, *WITH_BIAS) and use.idx == BIAS)
            for use in node.outputs[0].uses()
        )
    if int_attribute(node, "block_size", 0) or q.dtype in (np.int16, np.uint16):
        return True
    if q.ndim == 2 and _is_on_the_left(node) and int_attribute(node, "axis", 1) % 2 == 0:
        return q.dtype == np.int8  # as an adjacency matrix has a scale for each node
    return q.dtype in (np.int8, np.uint8) and scale.size == 1


def _is_on_the_left(node: ir.Node) -> bool:
    uses = node.outputs[0].uses()
    return bool(uses) and all(is_op(use.node, "MatMul") and use.idx == 0 for use in uses)


def _fold(graph: ir.Graph, names: NameSource, node: ir.Node) -> bool:
    arrays = [constant_array(value) for value in node.inputs if value is not None]
    if any(array is None for array in arrays) or node.outputs[0].is_graph_output():
        return False
    q, scale, *rest = (array for array in arrays if array is not None)
    if _is_ready_weight(node) or scale.dtype != np.float32:
        return False
    factor = _along_axis(scale, q.shape, node)
    if q.dtype.kind in "iu":
        centred = q.astype(np.int64)
        if rest:
            centred -= _along_axis(rest[0].astype(np.int64), q.shape, node)
        value = centred.astype(np.float32) * factor
    elif node.inputs[0] is not None and node.inputs[0].dtype in FLOAT8:
        value = q.astype(np.float32) * factor  # its zero point is 0, says ONNX
    else:
        return False
    constant = add_constant(graph, names, f"{node.outputs[0].name}_float", value)
    node.outputs[0].replace_all_uses_with(constant)
    graph.remove(node, safe=True)
    return True


def _along_axis(values: NDArray[Any], shape: tuple[int, ...], node: ir.Node) -> NDArray[Any]:
    """Scales or zero points as they broadcast: one for all, for each channel or each block."""
    if values.size == 1:
        return values.reshape(())
    axis = int_attribute(node, "axis", 1) % len(shape)
    block_size = int_attribute(node, "block_size", 0)
    if block_size:
        repeated = np.repeat(values, block_size, axis)
        return repeated[tuple(slice(0, size) for size in shape)]
    return values.reshape([-1 if a == axis else 1 for a in range(len(shape))])


def _is_ready_weight(node: ir.Node) -> bool:
    if stored_int8_weight(node.outputs[0]) is None:
        return False
    scale, q = constant_array(node.inputs[1]), constant_array(node.inputs[0])
    axis = int_attribute(node, "axis", 1)
    uses = node.outputs[0].uses()
    for use in uses:
        axes = dict(weight_inputs(use.node))
        if use.idx not in axes or q is None or scale is None:
            return False
        if scale.size > 1 and axes[use.idx] != axis % q.ndim:
            return False
    return bool(uses)
