"""LayerNormalization over the last axes of a float tensor."""

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.qdq_graph import (
    float_attribute,
    int_attribute,
    operand,
    shape_of,
)
from octavo.compiler.lowering.regions.layer_norm import DEFAULT_EPSILON
from octavo.compiler.lowering.tensor import identity
from octavo.compiler.lowering.view import QdqView
from octavo.targets.ops.float_layer_norm import FloatLayerNorm


def match(node: ir.Node, view: QdqView) -> Region | None:
    """LayerNormalization with constant parameters, in float."""
    x = operand(node, 0)
    if node.op_type != "LayerNormalization" or x is None or x.dtype != ir.DataType.FLOAT:
        return None
    gamma, beta = view.constant_float(operand(node, 1)), view.constant_float(operand(node, 2))
    if gamma is None or (operand(node, 2) is not None and beta is None):
        return None
    if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        return None
    shape = shape_of(x)
    axis = int_attribute(node, "axis", -1) % len(shape)
    normalized = shape[axis:]
    extent = int(np.prod(normalized, dtype=np.int64))
    if not extent:
        return None

    def emit(ctx: Context) -> None:
        origin = Region((node,), emit).origin(view.float_reason(node))
        order = identity(len(shape))
        tensor = ctx.dense(ctx.float_tensor(x, order), order, origin)
        output = ctx.new_float(node.outputs[0], order)
        op = FloatLayerNorm(rows=tensor.num_elements // extent, extent=extent)
        offset = np.zeros(1, np.float32) if beta is None else beta
        arrays = {
            "gain": np.broadcast_to(gamma, normalized).reshape(-1),
            "offset": np.broadcast_to(offset, normalized).reshape(-1),
            "epsilon": np.array(
                [float_attribute(node, "epsilon", DEFAULT_EPSILON)], np.float32
            ),
        }
        ctx.builder.call(op, [tensor], arrays, [output], origin, "float32")

    return Region((node,), emit)
