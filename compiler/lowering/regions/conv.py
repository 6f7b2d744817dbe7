"""Conv -> one kernel, in integers or in float."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.factors import weight_factors
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
from octavo.compiler.lowering.tensor import Tensor, channels_last
from octavo.compiler.lowering.view import QdqView
from octavo.compiler.lowering.weights import (
    IntegerWeights,
    integer_weights,
    quantize_bias,
    sum_biases,
)
from octavo.compiler.lowering.words import sums_fit, with_words
from octavo.targets.ops.conv import Conv

CHANNEL_AXIS = 1


@dataclass(frozen=True)
class Geometry:
    """Sizes of a convolution of one or two spatial dimensions, as (h, w).

    Attributes:
        kernel, stride, dilation: Sizes.
        pad: Top, left, bottom, right.
        groups: Groups.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: tuple[int, int, int, int]
    groups: int


def geometry(node: ir.Node, x_shape: tuple[int, ...], w_shape: tuple[int, ...]) -> Geometry:
    """Read the attributes of Conv; one spatial dimension becomes width."""
    spatial = len(x_shape) - 2
    kernel = list(w_shape[2:])
    stride = ints_attribute(node, "strides", [1] * spatial)
    dilation = ints_attribute(node, "dilations", [1] * spatial)
    pads = ints_attribute(node, "pads", [0] * (2 * spatial))
    auto = string_attribute(node, "auto_pad", "NOTSET")
    if auto == "VALID":
        pads = [0] * (2 * spatial)
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        for axis in range(spatial):
            span = dilation[axis] * (kernel[axis] - 1) + 1
            out = -(-x_shape[axis + 2] // stride[axis])
            total = max((out - 1) * stride[axis] + span - x_shape[axis + 2], 0)
            small, large = total // 2, total - total // 2
            ends = (small, large) if auto == "SAME_UPPER" else (large, small)
            pads[axis], pads[axis + spatial] = ends
    if spatial == 1:
        kernel, stride, dilation = [1, *kernel], [1, *stride], [1, *dilation]
        pads = [0, pads[0], 0, pads[1]]
    return Geometry(
        (kernel[0], kernel[1]),
        (stride[0], stride[1]),
        (dilation[0], dilation[1]),
        (pads[0], pads[1], pads[2], pads[3]),
        int_attribute(node, "group", 1),
    )


def conv_record(
    shape: tuple[int, ...], out_channels: int, shapes: Geometry, dtype: str
) -> Conv:
    """The operation for an input of logical shape (N, C, [H,] W)."""
    height = shape[2] if len(shape) == 4 else 1
    return Conv(
        batch=shape[0],
        in_h=height,
        in_w=shape[-1],
        in_c=shape[1],
        out_c=out_channels,
        kernel_h=shapes.kernel[0],
        kernel_w=shapes.kernel[1],
        stride_h=shapes.stride[0],
        stride_w=shapes.stride[1],
        dilation_h=shapes.dilation[0],
        dilation_w=shapes.dilation[1],
        pad_top=shapes.pad[0],
        pad_left=shapes.pad[1],
        pad_bottom=shapes.pad[2],
        pad_right=shapes.pad[3],
        groups=shapes.groups,
        dtype=dtype,
    )


def between(op: Conv, x: Tensor, output: Tensor) -> Conv:
    """The operation for pixels that may be slices of wider ones."""
    return replace(
        op,
        in_pixel_stride=slice_stride(x),
        placement=replace(op.placement, pixel_stride=slice_stride(output)),
    )


def slice_stride(tensor: Tensor) -> int:
    """Elements between neighbouring pixels; 0 where the channels fill them."""
    stride = tensor.pixel_stride
    return 0 if stride is None or stride == tensor.shape[CHANNEL_AXIS] else stride


def new_output(ctx: Context, tail: Tail) -> Tensor:
    """Where a convolution writes: in the concatenated tensor that its result belongs to."""
    if tail.residual is None:
        return ctx.new_pixels(tail.result, tail.params)
    order = channels_last(len(shape_of(tail.result)))  # of the residual, which is dense
    if tail.params is None:
        return ctx.new_float(tail.result, order)
    return ctx.new_quantized(tail.result, tail.params, order)


def match_integer(node: ir.Node, view: QdqView) -> Region | None:
    """DQ, DQ(weights) -> Conv -> [tail] -> Q."""
    x, w = operand(node, 0), operand(node, 1)
    if node.op_type != "Conv" or x is None or len(shape_of(x)) not in (3, 4):
        return None
    weights = integer_weights(quantized_constant(w), channel_axis=0)
    if weights is None or not view.has_integers(x):
        return None
    if view.is_word(x) and not sums_fit(weights.values.shape):
        return None
    bias = view.constant_float(operand(node, 2))
    if bias is None and operand(node, 2) is not None:
        return None
    tail = integer_tail(node.outputs[0], CHANNEL_AXIS, view, words=True)
    nodes = (node, *tail.nodes)

    def emit(ctx: Context) -> None:
        _emit_integer(ctx, node, tail, weights, bias, Region(nodes, emit))

    return Region(nodes, emit)


def _emit_integer(
    ctx: Context,
    node: ir.Node,
    tail: Tail,
    weights: IntegerWeights,
    bias: NDArray[np.float32] | None,
    region: Region,
) -> None:
    x_value = operand(node, 0)
    assert x_value is not None
    origin, shape = region.origin(), shape_of(x_value)
    order = channels_last(len(shape))
    x = ctx.pixels(ctx.tensor(x_value), origin)
    residual = None
    if tail.residual is not None:
        residual = ctx.dense(ctx.tensor(tail.residual), order, origin)
    output = new_output(ctx, tail)
    values = weights.values.reshape(*weights.values.shape[:2], -1, weights.values.shape[-1])
    shapes = geometry(node, shape, weights.values.shape)
    acc_scale = np.float64(x.scale or 1.0) * weights.scale.astype(np.float64)
    record, arrays = epilogue(tail, ctx.mode, acc_scale, output, residual)
    op = between(conv_record(shape, weights.values.shape[0], shapes, x.dtype), x, output)
    op = replace(op, has_zero_point=x.zero_point != 0)
    arrays |= {
        "weight": values.transpose(0, 2, 3, 1),
        "bias": quantize_bias([bias, *tail.biases], acc_scale),
        "zero_point": np.array([x.zero_point], np.int32),
    }
    inputs = [x] if residual is None else [x, residual]
    op = with_words(replace(op, requantize=record))
    ctx.builder.call(op, inputs, arrays, [output], origin)


def match_float(node: ir.Node, view: QdqView) -> Region | None:
    """Conv with constant weights -> [tail], in float."""
    x = operand(node, 0)
    if node.op_type != "Conv" or x is None or len(shape_of(x)) not in (3, 4):
        return None
    weight = view.constant_float(operand(node, 1))
    bias = view.constant_float(operand(node, 2))
    if weight is None or (operand(node, 2) is not None and bias is None):
        return None
    tail = float_tail(node.outputs[0], CHANNEL_AXIS, view)
    nodes = (node, *tail.nodes)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin(view.float_reason(node))
        shape = shape_of(x)
        order = channels_last(len(shape))
        inputs = [ctx.float_pixels(x)]
        if tail.residual is not None:
            inputs.append(ctx.float_tensor(tail.residual, order))
        output = new_output(ctx, tail)
        total = sum_biases([bias, *tail.biases], weight.shape[0])
        shapes = geometry(node, shape, weight.shape)
        op = conv_record(shape, weight.shape[0], shapes, "float32")
        op = between(op, inputs[0], output)
        op, placement = with_products(
            ctx, node, replace(op, residual=tail.residual is not None)
        )
        arrays = {
            "weight": _filters(weight),
            "bias": total,
            "limits": np.array([tail.low, tail.high], np.float32),
        }
        factors = weight_factors(operand(node, 1), _filters)
        ctx.builder.call(op, inputs, arrays, [output], origin, placement, factors)

    return Region(nodes, emit)


def _filters(weight: NDArray[Any]) -> NDArray[Any]:
    """The weights of one or two dimensions as (C_out, kH, kW, C_in / g)."""
    values = weight.reshape(*weight.shape[:2], -1, weight.shape[-1])
    return values.transpose(0, 2, 3, 1)
