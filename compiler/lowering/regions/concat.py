"""Concat -> one copy, or one table, of each input into its place."""

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context, Region, origin_of
from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    int_attribute,
    only_consumer,
    quantize_params,
    shape_of,
)
from octavo.compiler.lowering.regions.quantize import requantize_table
from octavo.compiler.lowering.tensor import Tensor, identity
from octavo.compiler.lowering.view import QdqView


def match(node: ir.Node, view: QdqView) -> Region | None:
    """DQ... -> Concat -> Q in integers; any other Concat as copies."""
    values = [v for v in node.inputs if v is not None]
    if node.op_type != "Concat" or len(values) != len(node.inputs):
        return None
    consumer = only_consumer(node.outputs[0])
    params = None
    if (
        consumer is not None
        and consumer.op_type == "QuantizeLinear"
        and all(view.is_dequantized(v) or view.scalar_params(v) for v in values)
    ):
        params = quantize_params(consumer)
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
        output = ctx.new_quantized(result, params, _order(parts, len(shape)))
    elif result.dtype == ir.DataType.FLOAT:
        parts = [ctx.float_tensor(v) for v in values]
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
        if params is None or same_quantization(part, output):
            ctx.move(part, place, {}, "copy", origin)
        else:
            stored = params.stored_as(output.dtype)
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
