"""Pad with a constant -> one copy into a filled tensor."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.qdq_graph import (
    constant,
    only_consumer,
    operand,
    quantize_params,
    shape_of,
    string_attribute,
)
from octavo.compiler.lowering.regions.concat import same_quantization
from octavo.compiler.lowering.regions.quantize import requantize_table
from octavo.compiler.lowering.view import QdqView


def match(node: ir.Node, view: QdqView) -> Region | None:
    """DQ -> Pad(constant) -> Q with the same parameters, or a float Pad: one filled copy."""
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
    if params is None and source.dtype != ir.DataType.FLOAT:
        return None
    nodes = (node,) if params is None or consumer is None else (node, consumer)

    def emit(ctx: Context) -> None:
        result = nodes[-1].outputs[0]
        convert, arrays = "copy", dict[str, NDArray[Any]]()
        origin = Region(nodes, emit).origin(view.float_reason(node) if params is None else "")
        if params is None:
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
        if any(
            size + min(before[axis], 0) + min(after[axis], 0) <= 0
            for axis, size in enumerate(x.shape)
        ):  # every element is cropped away: only the fill is left
            filled = np.full(output.shape, fill, output.dtype)
            constant_fill = ctx.constant(origin.name, filled)
            ctx.define(
                result,
                replace(constant_fill, scale=output.scale, zero_point=output.zero_point),
            )
            return
        place = output
        for axis in range(x.rank):
            left, right = max(-before[axis], 0), max(-after[axis], 0)
            kept = x.shape[axis] - left - right
            x = x.sliced(axis, left, kept)
            place = place.sliced(axis, max(before[axis], 0), kept)
        ctx.move(
            x, place, arrays, convert, origin, int(fill) if params is not None else float(fill)
        )

    return Region(nodes, emit)
