"""Pad with a constant -> one copy into a filled tensor."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.context import SIGN_BIT, Context, Region
from octavo.compiler.lowering.lookup import requantize_table
from octavo.compiler.lowering.qdq_graph import (
    EIGHT_BITS,
    constant,
    dtype_of,
    only_consumer,
    operand,
    quantize_params,
    shape_of,
    string_attribute,
)
from octavo.compiler.lowering.regions.concat import same_quantization
from octavo.compiler.lowering.tensor import Tensor
from octavo.compiler.lowering.view import QdqView


def match(node: ir.Node, view: QdqView) -> Region | None:
    """DQ -> Pad(constant) -> Q, or a Pad of floats or of 8-bit integers: one filled copy."""
    source = operand(node, 0)
    if (
        node.op_type != "Pad"
        or source is None
        or (string_attribute(node, "mode", "constant") != "constant")
    ):
        return None
    operands = [constant(v) if v is not None else None for v in node.inputs[1:]]
    if operands[0] is None or any(
        v is not None and array is None
        for v, array in zip(node.inputs[1:], operands, strict=True)
    ):
        return None
    amounts, rank = operands[0].reshape(-1).astype(int), len(shape_of(source))
    given = operands[1] if len(operands) > 1 else None
    value = 0.0 if given is None else float(given.reshape(-1)[0])
    axes = list(range(rank))
    if len(operands) > 2 and operands[2] is not None:
        axes = [int(a) % rank for a in operands[2].reshape(-1)]
    before, after = [0] * rank, [0] * rank
    for slot, axis in enumerate(axes):
        before[axis], after[axis] = int(amounts[slot]), int(amounts[slot + len(axes)])
    consumer = only_consumer(node.outputs[0])
    params = None
    if (
        consumer is not None
        and consumer.op_type == "QuantizeLinear"
        and (view.is_dequantized(source))
    ):
        params = quantize_params(consumer)
    is_plain = params is None and source.dtype in EIGHT_BITS
    if params is None and not is_plain and source.dtype != ir.DataType.FLOAT:
        return None
    nodes = (node,) if params is None or consumer is None else (node, consumer)

    def emit(ctx: Context) -> None:
        result = nodes[-1].outputs[0]
        convert, arrays = "copy", dict[str, NDArray[Any]]()
        is_float = params is None and not is_plain
        origin = Region(nodes, emit).origin(view.float_reason(node) if is_float else "")
        if is_plain:
            x = ctx.tensor(source)
            output, fill = _plain_output(ctx, x, result), value
            if x.dtype != dtype_of(source):  # stored with the other sign
                fill += SIGN_BIT if x.dtype == "uint8" else -SIGN_BIT
        elif params is None:
            x = ctx.float_tensor(source)
            output, fill = ctx.new_float(result, x.order), value
        else:
            x = ctx.tensor(source)
            output = ctx.new_quantized(result, params, x.order)
            steps = np.rint(np.float32(value) / np.float32(output.scale)) + output.zero_point
            info = np.iinfo(output.dtype)
            fill = float(np.clip(steps, info.min, info.max))
            if not same_quantization(x, output):
                convert = "table"
                arrays = {"table": requantize_table(x, params.stored_as(output.dtype))}
        fill = float(fill) if is_float else int(fill)
        if _is_cropped_away(x, before, after):
            ctx.define(result, _filled(ctx, output, fill))
        else:
            ctx.move(*_kept(x, output, before, after), arrays, convert, origin, fill)

    return Region(nodes, emit)


def _plain_output(ctx: Context, x: Tensor, result: ir.Value) -> Tensor:
    """A tensor of the same integers as ``x``, of the result's shape."""
    output = ctx.new(result.name or "pad", x.dtype, shape_of(result), x.order)
    output = replace(output, scale=x.scale, zero_point=x.zero_point)
    ctx.define(result, output)
    return output


def _is_cropped_away(x: Tensor, before: list[int], after: list[int]) -> bool:
    """Whether negative amounts leave no element: only the fill remains."""
    return any(
        size + min(before[axis], 0) + min(after[axis], 0) <= 0
        for axis, size in enumerate(x.shape)
    )


def _filled(ctx: Context, output: Tensor, fill: float | int) -> Tensor:
    """A constant in place of an output."""
    filled = ctx.constant(output.buffer.name, np.full(output.shape, fill, output.dtype))
    return replace(filled, scale=output.scale, zero_point=output.zero_point)


def _kept(
    x: Tensor, place: Tensor, before: list[int], after: list[int]
) -> tuple[Tensor, Tensor]:
    """The elements that stay, and where they go."""
    for axis in range(x.rank):
        left, right = max(-before[axis], 0), max(-after[axis], 0)
        kept = x.shape[axis] - left - right
        x = x.sliced(axis, left, kept)
        place = place.sliced(axis, max(before[axis], 0), kept)
    return x, place
