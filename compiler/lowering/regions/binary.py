"""Add, Sub, Mul, Max, Min of two quantized tensors; Add, Sub, Mul, Div of two float ones."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.context import Context, Region, origin_of
from octavo.compiler.lowering.fusion import Tail, epilogue, quantized_tail
from octavo.compiler.lowering.qdq_graph import shape_of
from octavo.compiler.lowering.tensor import Order, Tensor, identity
from octavo.compiler.lowering.tflite_rounding import (
    TFLITE,
    is_divided,
    mode_beside,
    sum_constants,
)
from octavo.compiler.lowering.view import QdqView
from octavo.targets.ops.binary import Binary
from octavo.targets.ops.requantize import DIVIDED_SHIFTS, Requantize

INTEGER_KINDS = {"Add": "add", "Sub": "sub", "Mul": "mul", "Max": "max", "Min": "min"}
WORD_KINDS = ("add", "sub", "max", "min")  # products of two words do not fit 32 bits
FLOAT_KINDS = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}


def match_integer(node: ir.Node, view: QdqView) -> Region | None:
    """DQ, DQ -> Add | Sub | Mul | Max | Min -> [Relu | Clip] -> Q."""
    kind = INTEGER_KINDS.get(node.op_type)
    if kind is None or len(node.inputs) != 2:
        return None
    words = kind in WORD_KINDS
    for value in node.inputs:
        if value is None:
            return None
        has_integers = view.has_integers(value) if words else view.is_dequantized(value)
        if not (has_integers or view.scalar_params(value)):
            return None
    tail = quantized_tail(node.outputs[0], view, looks_up=True, words=words)
    if tail.params is None:
        return None
    nodes = (node, *tail.nodes)

    def emit(ctx: Context) -> None:
        _emit_integer(ctx, node, kind, tail, Region(nodes, emit))

    return Region(nodes, emit)


def _emit_integer(ctx: Context, node: ir.Node, kind: str, tail: Tail, region: Region) -> None:
    assert tail.params is not None
    origin = region.origin()
    a, b, order = aligned(ctx, node, [ctx.tensor(v) for v in node.inputs if v is not None])
    output = ctx.new_quantized(tail.result, tail.params, order)
    record, arrays = binary_constants(ctx.mode, kind, a, b, output, tail)
    op = Binary(
        kind=kind,
        shape=stored_shape(output.shape, order),
        a_shape=stored_shape(a.shape, order),
        b_shape=stored_shape(b.shape, order),
        a_dtype=a.dtype,
        b_dtype=b.dtype,
        requantize=record,
    )
    ctx.builder.call(op, [a, b], arrays, [output], origin)


def binary_constants(
    mode: str, kind: str, a: Tensor, b: Tensor, output: Tensor, tail: Tail
) -> tuple[Requantize, dict[str, NDArray[Any]]]:
    """The epilogue of a binary operation: b is added like a residual, or multiplied in."""
    scale_a, scale_b = np.float64(a.scale or 1.0), np.float64(b.scale or 1.0)
    if kind == "mul":
        record, arrays = epilogue(tail, mode, np.array([scale_a * scale_b]), output, None)
    elif kind in ("add", "sub") and mode == TFLITE:
        record, arrays = epilogue(tail, mode, np.array([scale_a]), output, None)
        rounded = tail.rounded or tail.params or output
        arrays |= sum_constants((scale_a, scale_b), np.float64(rounded.scale or 1.0))
        # the larger operand is halved, without rounding: its shift is one less
        shifts = np.maximum(arrays["terms"][1::2], DIVIDED_SHIFTS[0])
        divides = is_divided(arrays["shift"]) and is_divided(shifts)
        record = replace(record, is_divided=divides)
    else:
        tables, mode = mode, mode_beside(mode)
        record, arrays = epilogue(tail, mode, np.array([scale_a]), output, b, tables)
        record = replace(record, residual=None)  # the second operand, not a third
        if kind == "sub":
            name = "residual_multiplier" if mode == "float32" else "residual_significand"
            arrays[name] = -arrays[name]
    arrays["zero_points"] = np.array([a.zero_point, b.zero_point], np.int32)
    return record, arrays


def match_float(node: ir.Node, view: QdqView) -> Region | None:
    """Add | Sub | Mul | Div of float tensors."""
    kind = FLOAT_KINDS.get(node.op_type)
    if kind is None or node.outputs[0].dtype != ir.DataType.FLOAT:
        return None

    def emit(ctx: Context) -> None:
        origin = Region((node,), emit).origin(view.float_reason(node))
        values = [v for v in node.inputs if v is not None]
        a, b, order = aligned(ctx, node, [ctx.float_tensor(v) for v in values])
        output = ctx.new_float(node.outputs[0], order)
        op = Binary(
            kind=kind,
            shape=stored_shape(output.shape, order),
            a_shape=stored_shape(a.shape, order),
            b_shape=stored_shape(b.shape, order),
            a_dtype="float32",
            b_dtype="float32",
            requantize=Requantize(dtype="float32"),
        )
        ctx.builder.call(op, [a, b], {}, [output], origin, "float32")

    return Region((node,), emit)


def aligned(
    ctx: Context, node: ir.Node, tensors: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Order]:
    """Both operands with the output's rank, dense in one order of axes."""
    shape = shape_of(node.outputs[0])
    origin = origin_of((node,))
    full = []
    for tensor in tensors:
        grown = tensor.reshaped((1,) * (len(shape) - tensor.rank) + tensor.shape)
        assert grown is not None
        full.append(grown)
    primary = max(full, key=lambda t: t.num_elements)
    order = (
        primary.order
        if primary.shape == shape and 0 not in primary.strides
        else (identity(len(shape)))
    )
    a, b = (ctx.dense(tensor, order, origin) for tensor in full)
    return a, b, order


def stored_shape(shape: tuple[int, ...], order: Order) -> tuple[int, ...]:
    """Sizes from outermost to innermost."""
    return tuple(shape[a] for a in order)
