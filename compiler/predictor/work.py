"""What an operation has to do, in the numbers of ``Work``: one rule for each kind."""

from functools import singledispatch
from math import prod
from typing import Any

from octavo.compiler.predictor import edge_work
from octavo.compiler.predictor.work_size import Work, item_bytes
from octavo.targets.ops.attention import Attention
from octavo.targets.ops.binary import Binary
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.float_layer_norm import FloatLayerNorm
from octavo.targets.ops.gather import Gather
from octavo.targets.ops.integer_table import IntegerTable
from octavo.targets.ops.layer_norm import LayerNorm
from octavo.targets.ops.matmul import MatMul
from octavo.targets.ops.move import Move
from octavo.targets.ops.pool import AveragePool, MaxPool, Reduce
from octavo.targets.ops.recurrent import Recurrent
from octavo.targets.ops.resize import Resize
from octavo.targets.ops.softmax import Softmax
from octavo.targets.ops.work import touched

CHANNEL_CONSTANT_BYTES = 8  # a bias and a multiplier
TABLE_BYTES = 256


@singledispatch
def work_of(op: Any) -> Work:
    """Size of an operation record.

    Raises:
        NotImplementedError: The kind of operation has no rule here.
    """
    raise NotImplementedError(type(op).__name__)


for _rule in (
    edge_work.aggregation,
    edge_work.softmax_over_edges,
    edge_work.order_of_edges,
    edge_work.check_of_indices,
    edge_work.check_of_bounds,
):
    work_of.register(_rule)


@work_of.register
def _(op: Conv) -> Work:
    is_float = op.dtype == "float32"
    out_dtype = "float32" if is_float else op.requantize.dtype
    in_elements, out_elements = touched(op).inputs[0] or 0, touched(op).outputs[0] or 0
    has_residual = op.residual or op.requantize.residual is not None
    residual_bytes = 0
    if has_residual:
        residual_dtype = "float32" if op.residual else str(op.requantize.residual)
        residual_bytes = out_elements * item_bytes(residual_dtype)
    window = op.kernel_h * op.kernel_w
    depth = window * op.group_in
    return Work(
        rows=op.batch * op.out_h * op.out_w,
        columns=op.group_out,
        depth=depth,
        repeats=op.groups,
        macs=op.macs,
        read_bytes=in_elements * item_bytes(op.dtype) + residual_bytes,
        weight_bytes=op.out_c * (depth * (4 if is_float else 1) + CHANNEL_CONSTANT_BYTES)
        + TABLE_BYTES * op.requantize.has_table,
        written_bytes=out_elements * item_bytes(out_dtype),
        span_bytes=op.in_elements * item_bytes(op.dtype)
        + op.out_elements * item_bytes(out_dtype) + residual_bytes,
        run=op.group_in,
        window=window,
        window_h=op.kernel_h,
        stride=max(op.stride_h, op.stride_w),
        line=op.out_w,
        extra_terms=has_residual + 2 * op.requantize.has_table,
        in_bits=8 * item_bytes(op.dtype),
        out_bits=8 * item_bytes(out_dtype),
        is_padded=op.is_padded,
        is_dilated=max(op.dilation_h, op.dilation_w) > 1,
        is_depthwise=op.group_in == 1 and op.group_out == 1,
    )


@work_of.register
def _(op: MatMul) -> Work:
    a, b = (count or 0 for count in touched(op).inputs)
    out = op.batch_size * op.rows * op.cols
    has_residual = op.requantize.residual is not None
    return Work(
        rows=op.rows,
        columns=op.cols,
        depth=op.depth,
        repeats=op.batch_size,
        macs=op.macs,
        read_bytes=a * item_bytes(op.a_dtype) + b * item_bytes(op.b_dtype)
        + has_residual * out * item_bytes(op.requantize.residual or "uint8"),
        written_bytes=out * item_bytes(op.out_dtype),
        span_bytes=op.a_elements * item_bytes(op.a_dtype)
        + op.b_elements * item_bytes(op.b_dtype) + op.y_elements * item_bytes(op.out_dtype),
        run=op.depth,
        stride=op.b_strides[-2],
        line=op.rows,
        extra_terms=has_residual + 2 * op.requantize.has_table,
        in_bits=8 * item_bytes(op.a_dtype),
        out_bits=8 * item_bytes(op.out_dtype),
    )


@work_of.register
def _(op: Attention) -> Work:
    counts = [count or 0 for count in touched(op).inputs]
    return Work(
        rows=op.rows,
        columns=op.columns,
        depth=op.depth + op.width,
        repeats=op.batch_size,
        macs=op.macs,
        read_bytes=sum(counts),
        written_bytes=op.batch_size * op.rows * op.width,
        span_bytes=op.q_elements + op.k_elements + op.v_elements + op.y_elements,
        run=op.depth,
        line=op.width,
        extra_terms=int(op.mask_strides is not None),
    )


@work_of.register
def _(op: Recurrent) -> Work:
    directions, columns, depth = op.directions, op.gates * op.hidden, op.inputs + op.hidden
    return Work(
        rows=op.batch,
        columns=columns,
        depth=depth,
        repeats=op.steps * directions,
        macs=op.macs,
        read_bytes=op.steps * op.batch * op.inputs,
        weight_bytes=directions * columns * (depth + 2 * CHANNEL_CONSTANT_BYTES),
        written_bytes=op.steps * directions * op.batch * op.hidden,
        run=op.inputs,
        line=op.hidden,
    )


@work_of.register
def _(op: Binary) -> Work:
    out_dtype = "float32" if op.is_float else op.requantize.dtype
    elements = prod(op.shape)
    joined = _joined(op.shape, op.a_shape, op.b_shape)
    return Work(
        rows=elements // max(joined, 1),
        columns=joined,
        depth=2,
        read_bytes=prod(op.a_shape) * item_bytes(op.a_dtype)
        + prod(op.b_shape) * item_bytes(op.b_dtype),
        written_bytes=elements * item_bytes(out_dtype),
        run=joined,
        extra_terms=2 * op.requantize.has_table,
        in_bits=8 * item_bytes(op.a_dtype),
        out_bits=8 * item_bytes(out_dtype),
    )


def _joined(*shapes: tuple[int, ...]) -> int:
    """Innermost elements that all shapes go through in the same way."""
    count, is_whole = 1, True
    for extents in reversed(list(zip(*shapes, strict=True))):
        equal = [extent == extents[0] for extent in extents]
        if count > 1 and all(equal) != is_whole:
            break
        is_whole = all(equal)
        count *= extents[0]
    return count


@work_of.register
def _(op: MaxPool) -> Work:
    out_dtype = op.dtype
    if isinstance(op, AveragePool) and op.dtype != "float32":
        out_dtype = op.requantize.dtype
    pads = (op.pad_top, op.pad_left, op.pad_bottom, op.pad_right)
    window = op.kernel_h * op.kernel_w
    return Work(
        rows=op.batch * op.out_h * op.out_w,
        columns=op.channels,
        depth=window,
        read_bytes=op.batch * op.in_h * op.in_w * op.channels * item_bytes(op.dtype),
        written_bytes=op.batch * op.out_h * op.out_w * op.channels * item_bytes(out_dtype),
        span_bytes=op.in_elements * item_bytes(op.dtype)
        + op.out_elements * item_bytes(out_dtype),
        run=op.channels,
        window=window,
        window_h=op.kernel_h,
        stride=max(op.stride_h, op.stride_w),
        line=op.out_w,
        in_bits=8 * item_bytes(op.dtype),
        out_bits=8 * item_bytes(out_dtype),
        is_padded=any(pads),
    )


@work_of.register
def _(op: Reduce) -> Work:
    out_dtype = "float32" if op.dtype == "float32" else op.requantize.dtype
    return Work(
        rows=op.outer,
        columns=op.inner,
        depth=op.extent,
        read_bytes=op.outer * op.extent * op.inner * item_bytes(op.dtype),
        written_bytes=op.outer * op.inner * item_bytes(out_dtype),
        run=op.inner,
        in_bits=8 * item_bytes(op.dtype),
        out_bits=8 * item_bytes(out_dtype),
    )


@work_of.register
def _(op: Resize) -> Work:
    out_dtype = op.dtype if op.requantize is None else op.requantize.dtype
    return Work(
        rows=op.batch * op.out_h * op.out_w,
        columns=op.channels,
        depth=1 if op.kind == "nearest" else 4,
        read_bytes=op.batch * op.in_h * op.in_w * op.channels * item_bytes(op.dtype),
        written_bytes=op.batch * op.out_h * op.out_w * op.channels * item_bytes(out_dtype),
        run=op.channels,
        line=op.out_w,
        in_bits=8 * item_bytes(op.dtype),
        out_bits=8 * item_bytes(out_dtype),
    )


@work_of.register
def _(op: IntegerTable) -> Work:
    in_bytes = item_bytes("uint8" if op.dtype == "bool" else op.dtype)
    return Work(
        rows=1,
        columns=op.elements,
        read_bytes=op.elements * in_bytes + op.high - op.low + 1,
        written_bytes=op.elements,
        run=op.elements,
        in_bits=8 * in_bytes,
        out_bits=8,
    )


@work_of.register
def _(op: Move) -> Work:
    elements = prod(op.shape)
    read = touched(op).inputs[0] or 0
    run = _contiguous(op.shape, op.src_strides, op.dst_strides)
    return Work(
        rows=elements // max(run, 1),
        columns=run,
        read_bytes=read * item_bytes(op.dtype),
        written_bytes=(op.dst_elements if op.fills else elements) * item_bytes(op.out_dtype),
        span_bytes=_span(op.shape, op.src_strides) * item_bytes(op.dtype)
        + _span(op.shape, op.dst_strides) * item_bytes(op.out_dtype),
        run=run,
        stride=abs(op.src_strides[-1]) if op.src_strides else 1,
        line=op.shape[-1] if op.shape else 1,
        extra_terms=int(op.fills),
        in_bits=8 * item_bytes(op.dtype),
        out_bits=8 * item_bytes(op.out_dtype),
    )


def _contiguous(shape: tuple[int, ...], *strides: tuple[int, ...]) -> int:
    """Innermost elements that lie side by side on every side."""
    count = 1
    for extent, *steps in reversed(list(zip(shape, *strides, strict=True))):
        if extent > 1 and any(step != count for step in steps):
            break
        count *= extent
    return count


def _span(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    return 1 + sum((n - 1) * abs(step) for n, step in zip(shape, strides, strict=True))


@work_of.register
def _(op: Gather) -> Work:
    elements = op.outer * op.count * op.inner
    return Work(
        rows=op.outer * op.count,
        columns=op.inner,
        read_bytes=elements * item_bytes(op.dtype) + op.count * item_bytes(op.index_dtype),
        written_bytes=elements * item_bytes(op.dtype),
        run=op.inner,
        in_bits=8 * item_bytes(op.dtype),
        out_bits=8 * item_bytes(op.dtype),
    )


@work_of.register
def _(op: Softmax) -> Work:
    return Work(
        rows=op.rows,
        columns=op.inner,
        depth=op.extent,
        read_bytes=op.elements,
        written_bytes=op.elements,
        run=op.extent if op.inner == 1 else op.inner,
        line=op.extent,
    )


@work_of.register
def _(op: LayerNorm) -> Work:
    return Work(
        rows=op.rows, columns=op.extent, depth=2, read_bytes=op.elements,
        weight_bytes=op.extent * CHANNEL_CONSTANT_BYTES, written_bytes=op.elements,
        run=op.extent)


@work_of.register
def _(op: FloatLayerNorm) -> Work:
    written = (4 if op.has_float else 0) + (1 if op.quantized else 0)
    return Work(
        rows=op.rows, columns=op.extent, depth=2, read_bytes=4 * op.elements,
        weight_bytes=op.extent * CHANNEL_CONSTANT_BYTES, written_bytes=written * op.elements,
        run=op.extent, in_bits=32, out_bits=8 * written)
