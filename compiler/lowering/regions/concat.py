"""Concat -> one copy, or one table, of each input that is not in its place already."""

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context, Region, origin_of
from octavo.compiler.lowering.lookup import requantize_table
from octavo.compiler.lowering.places import concat_params
from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    int_attribute,
    only_consumer,
    shape_of,
)
from octavo.compiler.lowering.tensor import Tensor, identity
from octavo.compiler.lowering.view import QdqView


def match(node: ir.Node, view: QdqView) -> Region | None:
    """DQ... -> Concat -> Q in integers; any other Concat as copies."""
    values = [v for v in node.inputs if v is not None]
    if node.op_type != "Concat" or len(values) != len(node.inputs):
        return None
    params, consumer = concat_params(node, view), only_consumer(node.outputs[0])
    if params is None or consumer is None:
        reason = view.float_reason(node)
        return Region((node,), lambda ctx: _emit(ctx, node, node.outputs[0], None, reason))
    nodes = (node, consumer)
    return Region(nodes, lambda ctx: _emit(ctx, node, consumer.outputs[0], params, ""))


def _emit(
    ctx: Context, node: ir.Node, result: ir.Value, params: QuantParams | None, reason: str
) -> None:
    origin = origin_of((node,), reason)
    shape = shape_of(result)
    axis = int_attribute(node, "axis", 0) % len(shape)
    values = [v for v in node.inputs if v is not None]
    if params is not None:
        parts = [ctx.tensor(v) for v in values]
    elif result.dtype == ir.DataType.FLOAT:
        parts = [ctx.float_view(v) for v in values]
    if ctx.has_whole(result):
        output = ctx.whole(result, params)
        ctx.define(result, output)
    elif params is not None:
        output = ctx.new_quantized(result, params, _order(parts, len(shape)))
    elif result.dtype == ir.DataType.FLOAT:
        output = ctx.new_float(result, _order(parts, len(shape)))
    else:
        parts = [ctx.plain(v, identity(len(shape))) for v in values]
        output = ctx.new(origin.name, parts[0].dtype, shape, identity(len(shape)))
        ctx.define(result, output)
    start = 0
    for part in parts:
        if not part.num_elements:
            continue
        place = output.sliced(axis, start, part.shape[axis])
        start += part.shape[axis]
        if part.is_at(place):
            continue
        if params is None or same_quantization(part, output):
            ctx.move(part, place, {}, "copy", origin)
        else:
            stored = params.stored_as(output.dtype)
            # in the mode "tflite" too: what is joined is rescaled in float there
            table = requantize_table(part, stored)
            ctx.move(part, place, {"table": table}, "table", origin)


def _order(parts: list[Tensor], rank: int) -> tuple[int, ...]:
    """The order of the largest part, so that most bytes move in long runs."""
    largest = max(parts, key=lambda t: t.num_elements)
    return largest.order if 0 not in largest.strides else identity(rank)


def same_quantization(part: Tensor, output: Tensor) -> bool:
    """Whether equal integers of two tensors stand for equal numbers."""
    return (np.float32(part.scale), part.zero_point) == (
        np.float32(output.scale),
        output.zero_point,
    )
