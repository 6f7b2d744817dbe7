"""ConvTranspose -> one convolution for each phase of the stride, written interleaved.

Output pixel o sums the taps k with (o + pad - k * dilation) divisible by the stride. Pixels of
equal (o + pad) mod stride use the same taps: each such phase is an ordinary convolution of
stride 1 whose results lie ``stride`` pixels apart.
"""

from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.float_products import with_products
from octavo.compiler.lowering.fusion import Tail, epilogue, float_tail, integer_tail
from octavo.compiler.lowering.qdq_graph import (
    int_attribute,
    ints_attribute,
    operand,
    quantized_constant,
    shape_of,
    string_attribute,
)
from octavo.compiler.lowering.regions.conv import between, new_output
from octavo.compiler.lowering.tensor import Tensor, channels_last
from octavo.compiler.lowering.view import QdqView
from octavo.compiler.lowering.weights import integer_weights, quantize_bias, sum_biases
from octavo.targets.ops.conv import Conv, Placement

CHANNEL_AXIS = 1


@dataclass(frozen=True)
class Phase:
    """One phase of one spatial axis.

    Attributes:
        taps: Kernel taps, in the order of the convolution.
        pad_before, pad_after: Padding of that convolution; negative ones leave pixels out.
        first: First output pixel.
        count: Output pixels.
    """

    taps: tuple[int, ...]
    pad_before: int
    pad_after: int
    first: int
    count: int


def phases(size: int, out: int, kernel: int, stride: int, pad: int) -> list[Phase]:
    """Split one axis of a transposed convolution of dilation 1.

    Args:
        size: Input pixels.
        out: Output pixels.
        kernel: Taps.
        stride: Stride.
        pad: Padding before.
    """
    found = []
    for residue in range(stride):
        first = (residue - pad) % stride
        count = len(range(first, out, stride))
        if count == 0:
            continue
        taps = tuple(range(residue, kernel, stride))[::-1]
        # Input pixel under the last (nearest) tap of the first output pixel.
        nearest = (first + pad - residue) // stride
        before = max(len(taps), 1) - 1 - nearest
        after = nearest + count - 1 - (size - 1)
        found.append(Phase(taps, before, after, first, count))
    return found


def match_integer(node: ir.Node, view: QdqView) -> Region | None:
    """DQ, DQ(weights) -> ConvTranspose -> [tail] -> Q."""
    x = operand(node, 0)
    if not _fits(node) or x is None or not view.is_dequantized(x):
        return None
    weights = integer_weights(quantized_constant(operand(node, 1)), channel_axis=1)
    bias = view.constant_float(operand(node, 2))
    if weights is None or (operand(node, 2) is not None and bias is None):
        return None
    tail = integer_tail(node.outputs[0], CHANNEL_AXIS, view)
    nodes = (node, *tail.nodes)
    channels = shape_of(node.outputs[0])[1]
    scale = np.resize(weights.scale, channels)  # (C_out / groups,) repeats for every group

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin()
        order = channels_last(len(shape_of(x)))
        source = ctx.pixels(ctx.tensor(x), origin)
        inputs = [source]
        residual = None
        if tail.residual is not None:
            residual = ctx.dense(ctx.tensor(tail.residual), order, origin)
            inputs.append(residual)
        output = new_output(ctx, tail)
        acc_scale = np.float64(source.scale or 1.0) * scale.astype(np.float64)
        record, arrays = epilogue(tail, ctx.mode, acc_scale, output, residual)
        arrays |= {
            "bias": quantize_bias([bias, *tail.biases], acc_scale),
            "zero_point": np.array([source.zero_point], np.int32),
        }
        for op, weight in _convolutions(node, source, weights.values, output):
            ctx.builder.call(
                between(replace(op, requantize=record), source, output),
                inputs,
                {**arrays, "weight": weight},
                [output],
                origin,
            )

    return Region(nodes, emit)


def match_float(node: ir.Node, view: QdqView) -> Region | None:
    """ConvTranspose with constant weights -> [tail], in float."""
    x = operand(node, 0)
    if not _fits(node) or x is None:
        return None
    weight = view.constant_float(operand(node, 1))
    bias = view.constant_float(operand(node, 2))
    if weight is None or (operand(node, 2) is not None and bias is None):
        return None
    tail: Tail = float_tail(node.outputs[0], CHANNEL_AXIS, view)
    nodes = (node, *tail.nodes)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin(view.float_reason(node))
        order = channels_last(len(shape_of(x)))
        source = ctx.float_pixels(x)
        inputs = [source]
        if tail.residual is not None:
            inputs.append(ctx.float_tensor(tail.residual, order))
        output = new_output(ctx, tail)
        total = sum_biases([bias, *tail.biases], output.shape[1])
        arrays = {"bias": total, "limits": np.array([tail.low, tail.high], np.float32)}
        for phase, values in _convolutions(node, source, weight, output):
            whole = replace(phase, residual=tail.residual is not None)
            op, placement = with_products(ctx, node, between(whole, source, output))
            ctx.builder.call(
                op, inputs, {**arrays, "weight": values}, [output], origin, placement
            )

    return Region(nodes, emit)


def _fits(node: ir.Node) -> bool:
    x = operand(node, 0)
    if node.op_type != "ConvTranspose" or x is None or len(shape_of(x)) not in (3, 4):
        return False
    return all(d == 1 for d in ints_attribute(node, "dilations", [1]))


def _convolutions(
    node: ir.Node, x: Tensor, weight: NDArray[np.generic], output: Tensor
) -> list[tuple[Conv, NDArray[np.generic]]]:
    """One convolution, with its weights, for each pair of phases."""
    spatial = x.rank - 2
    strides = ints_attribute(node, "strides", [1] * spatial)
    pads = _pads(node, x, weight, output, strides)
    axes = [
        phases(x.shape[i + 2], output.shape[i + 2], weight.shape[i + 2], strides[i], pads[i])
        for i in range(spatial)
    ]
    if spatial == 1:
        axes = [[Phase((0,), 0, 0, 0, 1)], *axes]
        weight, strides = weight[:, :, None], [1, *strides]
    groups = int_attribute(node, "group", 1)
    # (C_in, C_out / g, kH, kW) -> (C_out, kH, kW, C_in / g)
    per_group = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    filters = per_group.transpose(0, 2, 3, 4, 1).reshape(
        -1, *weight.shape[2:], weight.shape[0] // groups
    )
    found = []
    for rows in axes[0]:
        for columns in axes[1]:
            taps = _pick(_pick(filters, 1, rows.taps), 2, columns.taps)
            found.append(
                (
                    Conv(
                        batch=x.shape[0],
                        in_h=x.shape[2] if spatial == 2 else 1,
                        in_w=x.shape[-1],
                        in_c=x.shape[1],
                        out_c=output.shape[1],
                        kernel_h=taps.shape[1],
                        kernel_w=taps.shape[2],
                        pad_top=rows.pad_before,
                        pad_left=columns.pad_before,
                        pad_bottom=rows.pad_after,
                        pad_right=columns.pad_after,
                        groups=groups,
                        dtype=x.dtype,
                        placement=Placement(
                            output.shape[2] if spatial == 2 else 1,
                            output.shape[-1],
                            strides[0],
                            strides[1],
                            rows.first,
                            columns.first,
                        ),
                    ),
                    taps,
                )
            )
    return found


def _pick(
    filters: NDArray[np.generic], axis: int, taps: tuple[int, ...]
) -> NDArray[np.generic]:
    """Choose taps; a phase without any sums nothing, which is one tap of zero."""
    if taps:
        return np.take(filters, taps, axis=axis)
    return np.zeros_like(np.take(filters, [0], axis=axis))


def _pads(
    node: ir.Node, x: Tensor, weight: NDArray[np.generic], output: Tensor, strides: list[int]
) -> list[int]:
    """Padding before each spatial axis; auto_pad and output_shape are resolved from sizes."""
    spatial = x.rank - 2
    mode = string_attribute(node, "auto_pad", "NOTSET")
    if mode == "NOTSET" and "output_shape" not in node.attributes:
        return ints_attribute(node, "pads", [0] * (2 * spatial))[:spatial]
    extra = ints_attribute(node, "output_padding", [0] * spatial)
    pads = []
    for i in range(spatial):
        full = strides[i] * (x.shape[i + 2] - 1) + extra[i] + weight.shape[i + 2]
        total = full - output.shape[i + 2]
        pads.append(total - total // 2 if mode != "SAME_UPPER" else total // 2)
    return pads
