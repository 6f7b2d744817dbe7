"""QuantizeLinear and DequantizeLinear that no kernel absorbed.

integers -> DequantizeLinear                       nothing: the integers stand for the value
float -> QuantizeLinear                            one pass over the tensor
model input -> Clip -> QuantizeLinear              the same, and a table that saturates
DequantizeLinear -> QuantizeLinear, same params    nothing
DequantizeLinear -> QuantizeLinear, other params   a 256-entry table
"""

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import SIGN_BIT, Context, Region, origin_of
from octavo.compiler.lowering.fusion import limits_of, quantized_limit
from octavo.compiler.lowering.lookup import NUM_VALUES, requantize_table
from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    only_consumer,
    operand,
    quantize_params,
    quantized_constant,
    shape_of,
)
from octavo.compiler.lowering.tensor import Order, Tensor, channels_last
from octavo.compiler.lowering.view import QdqView

# Operators whose integer kernels want the channels innermost.
SPATIAL = frozenset(
    {
        "AveragePool",
        "Conv",
        "ConvTranspose",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "MaxPool",
        "Resize",
    }
)


def match(node: ir.Node, view: QdqView) -> Region | None:
    """A lone QuantizeLinear or DequantizeLinear of 8 bits, per tensor."""
    if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
        return None
    if quantized_constant(node.outputs[0]) is not None:
        return Region((node,), lambda ctx: None)  # made where it is read
    params = quantize_params(node)
    source = operand(node, 0)
    if source is not None and (words := _word_region(node, source, view)) is not None:
        return words
    if params is None or source is None:
        return None
    if node.op_type == "DequantizeLinear":
        return Region((node,), lambda ctx: _dequantize(ctx, node, source, params))
    if source.dtype != ir.DataType.FLOAT:
        return None
    limiting = source.producer()
    if limiting is not None and _limits_input(limiting, view):
        return _saturating(limiting, node, params)
    return Region((node,), lambda ctx: _quantize(ctx, node, source, params))


def _word_region(node: ir.Node, source: ir.Value, view: QdqView) -> Region | None:
    """Integers of 16 bits, where kernels read them: no table maps them to others."""
    if node.op_type == "DequantizeLinear" and view.is_word(node.outputs[0]):
        return Region((node,), lambda ctx: ctx.define(node.outputs[0], ctx.tensor(source)))
    params = view.word_quantizer(node)
    if params is None:
        return None

    def emit(ctx: Context) -> None:
        result, tensor, stored = node.outputs[0], ctx.tensor(source), ctx.stored(params)
        if tensor.is_quantized and _same_integers(tensor, stored):
            ctx.define(result, tensor)
            return
        real = ctx.float_tensor(source) if tensor.is_quantized else tensor
        output = ctx.new_quantized(result, params, wanted_order(result, real))
        ctx.quantize(real, output, origin_of((node,)))

    return Region((node,), emit)


def _same_integers(tensor: Tensor, stored: QuantParams) -> bool:
    return (tensor.dtype, np.float32(tensor.scale), tensor.zero_point) == (
        stored.dtype,
        np.float32(stored.scale),
        stored.zero_point,
    )


def _limits_input(node: ir.Node, view: QdqView) -> bool:
    """Whether a node cuts off a model input for one reader; kernels cut off what they make."""
    value = operand(node, 0)
    return (
        limits_of(node) is not None
        and value is not None
        and value.is_graph_input()
        and only_consumer(node.outputs[0]) is not None
        and node not in view.claimed
    )


def _saturating(limiting: ir.Node, node: ir.Node, params: QuantParams) -> Region:
    """Quantize and then cut off: rounding keeps the order of numbers, so it is the same."""
    nodes = (limiting, node)

    def emit(ctx: Context) -> None:
        value, limits = operand(limiting, 0), limits_of(limiting)
        assert value is not None
        assert limits is not None
        origin, tensor = origin_of((node,)), ctx.tensor(value)
        stored = params.stored_as(ctx.activation_dtype)
        output = ctx.new_quantized(
            node.outputs[0], params, wanted_order(node.outputs[0], tensor)
        )
        whole = replace(
            ctx.new(f"{origin.name}.whole", output.dtype, output.shape, output.order),
            scale=stored.scale,
            zero_point=stored.zero_point,
        )
        ctx.quantize(tensor, whole, origin)
        info = np.iinfo(output.dtype)
        low, high = (
            quantized_limit(end, stored.scale, stored.zero_point, info) for end in limits
        )
        integers = np.arange(NUM_VALUES, dtype=np.uint8).view(output.dtype)
        table = np.clip(integers, low, high)
        ctx.move(whole, output, {"table": table}, "table", origin_of((limiting,)))

    return Region(nodes, emit)


def _dequantize(ctx: Context, node: ir.Node, source: ir.Value, params: QuantParams) -> None:
    stored = params.stored_as(ctx.activation_dtype)
    tensor = ctx.tensor(source)
    if not tensor.is_quantized and tensor.dtype != stored.dtype:
        tensor = flip_sign(ctx, tensor, stored.dtype, node)
    ctx.define(
        node.outputs[0], replace(tensor, scale=stored.scale, zero_point=stored.zero_point)
    )


def flip_sign(ctx: Context, tensor: Tensor, dtype: str, node: ir.Node) -> Tensor:
    """Move between int8 and uint8 storage of the same real values."""
    origin = origin_of((node,))
    flipped = ctx.new(f"{origin.name}.sign", dtype, tensor.shape, tensor.order)
    table = (np.arange(256, dtype=np.uint8) ^ SIGN_BIT).view(dtype)
    ctx.move(tensor, flipped, {"table": table}, "table", origin)
    return flipped


def _quantize(ctx: Context, node: ir.Node, source: ir.Value, params: QuantParams) -> None:
    result, tensor = node.outputs[0], ctx.tensor(source)
    stored = params.stored_as(ctx.activation_dtype)
    origin = origin_of((node,))
    if not tensor.is_quantized:
        order = wanted_order(result, tensor)
        ctx.quantize(tensor, ctx.new_quantized(result, params, order), origin)
    elif _same_integers(tensor, stored):
        ctx.define(result, tensor)
    elif tensor.itemsize > 1:  # of 16 bits, for which there are no tables
        real = ctx.float_tensor(source)
        ctx.quantize(real, ctx.new_quantized(result, params, real.order), origin)
    else:
        output = ctx.new_quantized(result, params, tensor.order)
        table = requantize_table(tensor, stored, ctx.mode)
        ctx.move(tensor, output, {"table": table}, "table", origin)


def wanted_order(value: ir.Value, tensor: Tensor) -> Order:
    """Channels innermost when a spatial kernel reads the value, else as the tensor is."""
    if len(shape_of(value)) not in (3, 4):
        return tensor.order
    pending, seen = [value], set()
    while pending:
        current = pending.pop()
        for use in current.uses():
            if use.node.op_type in SPATIAL:
                return channels_last(len(shape_of(value)))
            if use.node.op_type in ("DequantizeLinear", "QuantizeLinear", "Pad") and (
                use.node not in seen
            ):
                seen.add(use.node)
                pending.extend(use.node.outputs)
    return tensor.order
