"""What an operation has to do, in the few numbers that all kinds of operations share.

Every multiply-accumulate kernel is seen as ``repeats`` products of (rows, depth) by (depth,
columns); everything else as ``rows`` times ``columns`` results of ``depth`` terms each.
"""

from dataclasses import dataclass
from functools import singledispatch
from math import prod
from typing import Any

import numpy as np

from octavo.targets.ops.attention import Attention
from octavo.targets.ops.binary import Binary
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.edge_order import EdgeOrder
from octavo.targets.ops.edge_softmax import EdgeSoftmax
from octavo.targets.ops.float_layer_norm import FloatLayerNorm
from octavo.targets.ops.gather import Gather
from octavo.targets.ops.index_check import IndexCheck
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


@dataclass(frozen=True, kw_only=True)
class Work:
    """Size of an operation.

    Attributes:
        rows: Results along the dimension that tiles run over: output pixels, tokens.
        columns: Results that lie side by side: output channels of a group, elements.
        depth: Terms of one result; 1 without a reduction.
        repeats: Independent products: groups, heads, time steps.
        macs: Multiply-accumulates.
        read_bytes: Activations that are read, each once.
        weight_bytes: Constants, as the model has them.
        written_bytes: Activations that are written.
        span_bytes: From the first to the last byte of what is read and written: more than
            their sum where tensors are slices of wider ones.
        run: Input elements in a row in memory.
        window: Taps of a window: kernel height times width.
        window_h: Kernel height.
        stride: Of a window along rows of the image, or of the innermost elements.
        line: Results of one line of an image; ``rows`` without one.
        extra_terms: Residuals, tables and limits that the end of the kernel handles.
        in_bits: Of an element that is read.
        out_bits: Of an element that is written.
        is_padded: Some of a window's elements are made up.
        is_dilated: A window has holes.
        is_depthwise: Every channel has a window of its own.
    """

    rows: int
    columns: int
    depth: int = 1
    repeats: int = 1
    macs: int = 0
    read_bytes: int = 0
    weight_bytes: int = 0
    written_bytes: int = 0
    span_bytes: int = 0
    run: int = 0
    window: int = 1
    window_h: int = 1
    stride: int = 1
    line: int = 0
    extra_terms: int = 0
    in_bits: int = 8
    out_bits: int = 8
    is_padded: bool = False
    is_dilated: bool = False
    is_depthwise: bool = False


def item_bytes(dtype: str) -> int:
    """Bytes of an element."""
    return np.dtype(dtype).itemsize


@singledispatch
def work_of(op: Any) -> Work:
    """Size of an operation record.

    Raises:
        NotImplementedError: The kind of operation has no rule here.
    """
    raise NotImplementedError(type(op).__name__)


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
def _(op: CsrAggregate) -> Work:
    edges = op.edges * op.heads * (item_bytes(op.weight_dtype) if op.weight_dtype else 0)
    edges += ((1 + op.by_edge) * op.edges + op.nodes + 1) * item_bytes("int32")
    rows = min(op.edges, op.sources) * op.channels * item_bytes(op.dtype)
    if op.pair is not None:
        rows += op.nodes * op.channels * item_bytes(op.dtype)
    return Work(
        rows=op.nodes,
        columns=op.channels,
        depth=-(-op.edges // op.nodes),
        macs=op.macs,
        read_bytes=rows + (edges if op.is_given else 0),
        weight_bytes=0 if op.is_given else edges,
        written_bytes=op.nodes * op.channels * item_bytes(op.requantize.dtype),
        run=op.channels,
        in_bits=8 * item_bytes(op.dtype),
        out_bits=8 * item_bytes(op.requantize.dtype),
    )


@work_of.register
def _(op: EdgeSoftmax) -> Work:
    ends = op.form == "ends"
    scores = (op.sources + op.nodes if ends else op.edges) * op.heads
    places = op.nodes + 1 + (0 if op.form == "sorted" else op.edges)
    return Work(
        rows=op.edges,
        columns=op.heads,
        read_bytes=scores * item_bytes(op.dtype) + places * item_bytes("int32"),
        written_bytes=op.edges * op.heads * item_bytes(op.out_dtype),
        run=op.heads,
        in_bits=8 * item_bytes(op.dtype),
        out_bits=8 * item_bytes(op.out_dtype),
    )


@work_of.register
def _(op: EdgeOrder) -> Work:
    arrays = int(op.gathers) + int(op.has_ids)
    return Work(
        rows=op.nodes,
        columns=1,
        read_bytes=op.edges * item_bytes(op.index_dtype) * (1 + op.gathers),
        written_bytes=(op.nodes + 1 + arrays * op.places) * item_bytes("int32"),
        run=1,
        in_bits=8 * item_bytes(op.index_dtype),
        out_bits=32,
    )


@work_of.register
def _(op: IndexCheck) -> Work:
    size = op.elements * item_bytes(op.index_dtype)
    return Work(
        rows=op.outer,
        columns=op.rows * op.inner,
        read_bytes=size,
        written_bytes=size if op.clears else 0,
        run=op.rows * op.inner,
        in_bits=8 * item_bytes(op.index_dtype),
        out_bits=8 * item_bytes(op.index_dtype),
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
