"""Turn constants that are stored as integers into float, unless they are ready weights.

``DequantizeLinear(q, scale, zero_point)`` of constants -> a float constant. An int8 weight
with zero point 0 and a scale for the tensor or for each output channel stays: rounding it
again at another scale would add error.
"""

import numpy as np
import onnx_ir as ir

from octavo.passes.constants import NameSource, add_constant, constant_array
from octavo.passes.quant_math import dequantize
from octavo.passes.quantizable_operators import stored_int8_weight, weight_inputs
from octavo.passes.wiring import int_attribute, is_op


class FoldWeightDequantize(ir.passes.InPlacePass):
    """Fold every DequantizeLinear of constants that is not a ready weight."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        stored = [node for node in graph if is_op(node, "DequantizeLinear")]
        folded = [node for node in stored if _fold(graph, names, node)]
        return ir.passes.PassResult(model, modified=bool(folded))


def _fold(graph: ir.Graph, names: NameSource, node: ir.Node) -> bool:
    arrays = [constant_array(value) for value in node.inputs]
    if any(array is None for array in arrays) or node.outputs[0].is_graph_output():
        return False
    if _is_ready_weight(node) or int_attribute(node, "block_size", 0):
        return False
    q, scale = arrays[0], arrays[1]
    if q is None or scale is None or scale.dtype != np.float32 or q.dtype.kind not in "iu":
        return False
    zero_point = (
        arrays[2] if len(arrays) > 2 and arrays[2] is not None else np.zeros((), q.dtype)
    )
    axis = int_attribute(node, "axis", 1) % max(q.ndim, 1) if scale.size > 1 else None
    shape = [1] * q.ndim
    if axis is not None:
        shape[axis] = -1
    shifted = q.astype(np.int64) - zero_point.astype(np.int64).reshape(shape if q.ndim else ())
    value = dequantize(
        shifted, scale.reshape(-1) if axis is not None else scale.reshape(()), axis=axis
    )
    constant = add_constant(graph, names, f"{node.outputs[0].name}_float", value)
    node.outputs[0].replace_all_uses_with(constant)
    graph.remove(node, safe=True)
    return True


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
