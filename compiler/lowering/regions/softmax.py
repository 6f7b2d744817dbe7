"""Softmax, quantized in and quantized out."""

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.fusion import quantized_tail
from octavo.compiler.lowering.qdq_graph import int_attribute, operand, shape_of
from octavo.compiler.lowering.tensor import identity
from octavo.compiler.lowering.tflite_rounding import mode_beside
from octavo.compiler.lowering.view import QdqView
from octavo.targets.ops.softmax import MAX_EXTENT, Softmax, softmax_arrays

MAX_OUTPUT_SCALE = 2.0  # of the kernel's fixed-point reciprocal


def match(node: ir.Node, view: QdqView) -> Region | None:
    """DQ -> Softmax -> Q."""
    x = operand(node, 0)
    if node.op_type != "Softmax" or x is None or not view.is_dequantized(x):
        return None
    tail = quantized_tail(node.outputs[0], view)
    params, shape = tail.params, shape_of(x)
    axis = int_attribute(node, "axis", -1) % len(shape)
    if params is None or len(tail.nodes) != 1 or shape[axis] > MAX_EXTENT:
        return None
    if params.scale > MAX_OUTPUT_SCALE:
        return None
    nodes = (node, *tail.nodes)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin()
        tensor = ctx.tensor(x)
        order = tensor.order if axis == tensor.order[-1] else identity(tensor.rank)
        tensor = ctx.dense(tensor, order, origin)
        output = ctx.new_quantized(tail.result, params, order)
        at = order.index(axis)
        stored = [shape[a] for a in order]
        op = Softmax(
            rows=int(np.prod(stored[:at], dtype=np.int64)),
            extent=shape[axis],
            inner=int(np.prod(stored[at + 1 :], dtype=np.int64)),
            dtype=tensor.dtype,
            out_dtype=output.dtype,
            mode=mode_beside(ctx.mode),
        )
        limits = np.iinfo(output.dtype)
        constants = np.array([output.zero_point, limits.min, limits.max, 0], np.int32)
        arrays = softmax_arrays(
            op, float(tensor.scale or 1.0), float(output.scale or 1.0), constants
        )
        ctx.builder.call(op, [tensor], arrays, [output], origin)

    return Region(nodes, emit)
