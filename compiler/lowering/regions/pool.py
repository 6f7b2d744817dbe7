"""MaxPool, AveragePool and reductions over the spatial axes or the last one."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.fusion import epilogue, quantized_tail
from octavo.compiler.lowering.qdq_graph import (
    EIGHT_BITS,
    constant,
    int_attribute,
    ints_attribute,
    operand,
    shape_of,
)
from octavo.compiler.lowering.regions.conv import Geometry, geometry, slice_stride
from octavo.compiler.lowering.tensor import Tensor, channels_last, identity
from octavo.compiler.lowering.tflite_rounding import (
    TFLITE,
    average_plainly,
    divide_significand,
    mode_beside,
    plain_zero,
)
from octavo.compiler.lowering.view import QdqView
from octavo.targets.ops.pool import MAX_WORDS, AveragePool, MaxPool, Reduce

REDUCTIONS = {
    "GlobalAveragePool": "mean",
    "ReduceMean": "mean",
    "ReduceSum": "sum",
    "GlobalMaxPool": "max",
    "ReduceMax": "max",
    "ReduceMin": "min",
}


def match_max_pool(node: ir.Node, view: QdqView) -> Region | None:
    """MaxPool of integers, which commutes with dequantization, or of float.

    The integers may lie behind a DequantizeLinear, or be pooled as such: QOperator models do.
    """
    x = operand(node, 0)
    if (
        node.op_type != "MaxPool"
        or x is None
        or len(node.outputs) > 1
        or (len(shape_of(x)) not in (3, 4) or int_attribute(node, "storage_order", 0))
    ):
        return None
    if x.dtype != ir.DataType.FLOAT and x.dtype not in EIGHT_BITS:
        return None

    def emit(ctx: Context) -> None:
        is_integer = x.dtype in EIGHT_BITS or view.has_integers(x)
        origin = Region((node,), emit).origin("" if is_integer else view.float_reason(node))
        shape, out_shape = shape_of(x), shape_of(node.outputs[0])
        source = ctx.pixels(ctx.tensor(x), origin) if is_integer else ctx.float_pixels(x)
        output = ctx.place_of(node.outputs[0])
        if output is None:
            order = channels_last(len(shape))
            output = ctx.new(origin.name, source.dtype, out_shape, order)
            output = replace(output, scale=source.scale, zero_point=source.zero_point)
        ctx.define(node.outputs[0], output)
        output = output.addressed_directly()
        op = MaxPool(
            **window_fields(node, shape, out_shape),
            **slice_strides(source, output),
            dtype=source.dtype,
        )
        ctx.builder.call(
            op, [source], {}, [output], origin, "int8" if is_integer else "float32"
        )

    return Region((node,), emit)


def window_fields(
    node: ir.Node, shape: tuple[int, ...], out_shape: tuple[int, ...]
) -> dict[str, Any]:
    """Fields that both pools have."""
    kernel = ints_attribute(node, "kernel_shape", [])
    shapes: Geometry = geometry(node, shape, (0, 0, *kernel))
    return {
        "batch": shape[0],
        "channels": shape[1],
        "in_h": shape[2] if len(shape) == 4 else 1,
        "in_w": shape[-1],
        "out_h": out_shape[2] if len(shape) == 4 else 1,
        "out_w": out_shape[-1],
        "kernel_h": shapes.kernel[0],
        "kernel_w": shapes.kernel[1],
        "stride_h": shapes.stride[0],
        "stride_w": shapes.stride[1],
        "dilation_h": shapes.dilation[0],
        "dilation_w": shapes.dilation[1],
        "pad_top": shapes.pad[0],
        "pad_left": shapes.pad[1],
        "pad_bottom": shapes.pad[2],
        "pad_right": shapes.pad[3],
    }


def slice_strides(source: Tensor, output: Tensor) -> dict[str, int]:
    """Fields of pools whose tensors may be slices of wider ones."""
    return {
        "in_pixel_stride": slice_stride(source),
        "out_pixel_stride": slice_stride(output),
    }


def match_average_pool(node: ir.Node, view: QdqView) -> Region | None:
    """DQ -> AveragePool -> Q."""
    x = operand(node, 0)
    if (
        node.op_type != "AveragePool"
        or x is None
        or len(shape_of(x)) not in (3, 4)
        or (not view.is_dequantized(x))
    ):
        return None
    tail = quantized_tail(node.outputs[0], view, looks_up=True)
    if tail.params is None:
        return None
    params, nodes = tail.params, (node, *tail.nodes)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin()
        shape, out_shape = shape_of(x), shape_of(node.outputs[0])
        source = ctx.pixels(ctx.tensor(x), origin)
        output = ctx.new_pixels(tail.result, params)
        includes_pad = bool(int_attribute(node, "count_include_pad", 0))
        window = window_fields(node, shape, out_shape)
        acc_scale = np.float64(source.scale or 1.0) / element_counts(window, includes_pad)
        zero = None
        if ctx.mode == TFLITE:
            zero = plain_zero(source, output.dtype, tail.rounded or params)
        mode = ctx.mode if zero is None else "dyadic"
        record, arrays = epilogue(tail, mode, acc_scale, output, None, ctx.mode)
        arrays["zero_point"] = np.array([source.zero_point], np.int32)
        if zero is not None:
            average_plainly(arrays, zero)
        op = AveragePool(
            **window,
            **slice_strides(source, output),
            dtype=source.dtype,
            count_include_pad=includes_pad,
            requantize=record,
        )
        ctx.builder.call(op, [source], arrays, [output], origin)

    return Region(nodes, emit)


def element_counts(window: dict[str, int], includes_pad: bool) -> NDArray[np.float64]:
    """(out_h * out_w,) elements that each output pixel averages."""
    lines = []
    for side, first, last in (("h", "pad_top", "pad_bottom"), ("w", "pad_left", "pad_right")):
        size, out = window[f"in_{side}"], window[f"out_{side}"]
        taps = (
            np.arange(out)[:, None] * window[f"stride_{side}"]
            - window[first]
            + np.arange(window[f"kernel_{side}"])[None] * window[f"dilation_{side}"]
        )
        low, high = (-window[first], size + window[last]) if includes_pad else (0, size)
        lines.append(((taps >= low) & (taps < high)).sum(axis=1))
    return np.maximum(np.outer(lines[0], lines[1]), 1).reshape(-1).astype(np.float64)


def reduced_axes(node: ir.Node, rank: int) -> tuple[int, ...] | None:
    """Axes that are reduced, or None when they are not known."""
    if node.op_type.startswith("Global"):
        return tuple(range(2, rank))
    if operand(node, 1) is not None:
        axes = constant(operand(node, 1))
        if axes is None:
            return None
        found = [int(a) % rank for a in axes.reshape(-1)]
    else:
        found = [a % rank for a in ints_attribute(node, "axes", [])]
    if not found:
        return () if int_attribute(node, "noop_with_empty_axes", 0) else tuple(range(rank))
    return tuple(sorted(found))


def match_reduce(node: ir.Node, view: QdqView) -> Region | None:
    """DQ -> global pool or Reduce over neighbouring axes -> Q."""
    kind, x = REDUCTIONS.get(node.op_type), operand(node, 0)
    if kind is None or x is None or not view.has_integers(x):
        return None
    axes = reduced_axes(node, len(shape_of(x)))
    if not axes or axes != tuple(range(axes[0], axes[-1] + 1)):
        return None
    extent = int(np.prod([shape_of(x)[a] for a in axes]))
    if view.is_word(x) and extent > MAX_WORDS:
        return None
    tail = quantized_tail(node.outputs[0], view, looks_up=True, words=True)
    if tail.params is None:
        return None
    params, nodes = tail.params, (node, *tail.nodes)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin()
        source = ctx.tensor(x)
        # Spatial axes are reduced where they lie: in front of the channels.
        spatial = len(source.shape) == 4 and axes == (2, 3)
        order = channels_last(4) if spatial else identity(source.rank)
        source = ctx.dense(source, order, origin)
        outer, inner = around(order, axes, source.shape)
        output = ctx.new_quantized(tail.result, params, identity(len(shape_of(tail.result))))
        acc_scale = np.array([np.float64(source.scale or 1.0)])
        divides_last = kind == "mean" and ctx.mode == TFLITE
        if kind == "mean" and not divides_last:
            acc_scale = acc_scale / extent
        # LiteRT's reference of SUM gives no sums; its other kernel rounds once
        mode = mode_beside(ctx.mode) if kind == "sum" else ctx.mode
        record, arrays = epilogue(tail, mode, acc_scale, output, None, ctx.mode)
        if divides_last:
            divide_significand(arrays, extent)
        arrays["zero_point"] = np.array([source.zero_point], np.int32)
        op = Reduce(
            kind=kind,
            outer=outer,
            extent=extent,
            inner=inner,
            dtype=source.dtype,
            requantize=record,
        )
        ctx.builder.call(op, [source], arrays, [output], origin)

    return Region(nodes, emit)


def around(
    order: tuple[int, ...], axes: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[int, int]:
    """Elements outside and inside of the reduced axes, in storage order."""
    first = min(order.index(a) for a in axes)
    last = max(order.index(a) for a in axes)
    outer = int(np.prod([shape[a] for a in order[:first]], dtype=np.int64))
    return outer, int(np.prod([shape[a] for a in order[last + 1 :]], dtype=np.int64))
