"""LayerNormalization over the last axes, quantized in and quantized out."""

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.fusion import quantized_tail
from octavo.compiler.lowering.qdq_graph import (
    float_attribute,
    int_attribute,
    operand,
    shape_of,
)
from octavo.compiler.lowering.tensor import identity
from octavo.compiler.lowering.tflite_rounding import mode_beside
from octavo.compiler.lowering.view import QdqView
from octavo.targets.ops.layer_norm import MAX_EXTENT, LayerNorm, layer_norm_arrays

DEFAULT_EPSILON = 1e-5  # ONNX LayerNormalization


def match(node: ir.Node, view: QdqView) -> Region | None:
    """DQ -> LayerNormalization -> Q."""
    x = operand(node, 0)
    if node.op_type != "LayerNormalization" or x is None or not view.is_dequantized(x):
        return None
    gamma, beta = view.constant_float(operand(node, 1)), view.constant_float(operand(node, 2))
    tail = quantized_tail(node.outputs[0], view)
    params, shape = tail.params, shape_of(x)
    axis = int_attribute(node, "axis", -1) % len(shape)
    extent = int(np.prod(shape[axis:], dtype=np.int64))
    if params is None or len(tail.nodes) != 1 or extent > MAX_EXTENT or gamma is None:
        return None
    if (operand(node, 2) is not None and beta is None) or any(
        output.uses() for output in node.outputs[1:]
    ):
        return None
    nodes = (node, *tail.nodes)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin()
        order = identity(len(shape))
        tensor = ctx.dense(ctx.tensor(x), order, origin)
        output = ctx.new_quantized(tail.result, params, order)
        op = LayerNorm(
            rows=tensor.num_elements // extent,
            extent=extent,
            dtype=tensor.dtype,
            out_dtype=output.dtype,
            mode=mode_beside(ctx.mode),
        )
        limits = np.iinfo(output.dtype)
        constants = np.array([output.zero_point, limits.min, limits.max, 0], np.int32)
        arrays = layer_norm_arrays(
            op,
            scale_x=float(tensor.scale or 1.0),
            zero_point_x=tensor.zero_point,
            gamma=np.broadcast_to(gamma, shape[axis:]),
            beta=None if beta is None else np.broadcast_to(beta, shape[axis:]),
            epsilon=float_attribute(node, "epsilon", DEFAULT_EPSILON),
            scale_y=float(output.scale or 1.0),
            params=constants,
        )
        ctx.builder.call(op, [tensor], arrays, [output], origin)

    return Region(nodes, emit)
