"""Gemm and MatMul with constant weights -> the 1x1 convolution kernel."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.factors import weight_factors
from octavo.compiler.lowering.float_products import with_products
from octavo.compiler.lowering.fusion import (
    epilogue,
    float_result_tail,
    float_tail,
    integer_tail,
)
from octavo.compiler.lowering.qdq_graph import (
    float_attribute,
    int_attribute,
    operand,
    quantized_constant,
    shape_of,
)
from octavo.compiler.lowering.tensor import identity
from octavo.compiler.lowering.tflite_rounding import mode_of_products
from octavo.compiler.lowering.view import QdqView
from octavo.compiler.lowering.weights import integer_weights, quantize_bias, sum_biases
from octavo.compiler.lowering.words import sums_fit, with_words
from octavo.targets.ops.conv import Conv


@dataclass(frozen=True)
class Product:
    """x (..., K) times a constant (K, N) plus a bias.

    Attributes:
        x: Left operand.
        bias: Third operand of Gemm, or None.
        transposed: Whether the weights are stored (N, K).
    """

    x: ir.Value
    bias: ir.Value | None
    transposed: bool


def read_product(node: ir.Node) -> Product | None:
    """Recognize Gemm and MatMul, or None where they scale or transpose the left operand."""
    if node.op_type not in ("Gemm", "MatMul"):
        return None
    x, w = operand(node, 0), operand(node, 1)
    if x is None or w is None or len(shape_of(w)) != 2 or len(shape_of(x)) < 2:
        return None
    if node.op_type == "MatMul":
        return Product(x, None, False)
    bias = operand(node, 2)
    if int_attribute(node, "transA", 0) or float_attribute(node, "alpha", 1.0) != 1.0:
        return None
    if bias is not None and float_attribute(node, "beta", 1.0) != 1.0:
        return None
    return Product(x, bias, bool(int_attribute(node, "transB", 0)))


def product_record(shape: tuple[int, ...], channels: int, dtype: str) -> Conv:
    """The operation for x of logical shape (..., K)."""
    rows = int(np.prod(shape[:-1], dtype=np.int64))
    return Conv(batch=1, in_h=1, in_w=rows, in_c=shape[-1], out_c=channels, dtype=dtype)


def _channel_bias(
    product: Product, view: QdqView, channels: int
) -> tuple[bool, NDArray[np.float32] | None]:
    """Whether the bias can be used, and the bias."""
    if product.bias is None:
        return True, None
    bias = view.constant_float(product.bias)
    if (
        bias is None
        or bias.size not in (1, channels)
        or (bias.size == channels and bias.shape[-1] != channels)
    ):
        return False, None
    return True, bias.reshape(-1)


def match_integer(node: ir.Node, view: QdqView) -> Region | None:
    """DQ, DQ(weights) -> Gemm | MatMul -> [tail] -> Q."""
    product = read_product(node)
    if product is None or not view.has_integers(product.x):
        return None
    axis = 0 if product.transposed else 1
    weights = integer_weights(quantized_constant(operand(node, 1)), channel_axis=axis)
    if weights is None:
        return None
    channels, depth = weights.values.shape[axis], weights.values.shape[1 - axis]
    if view.is_word(product.x) and not sums_fit((channels, depth)):
        return None
    usable, bias = _channel_bias(product, view, channels)
    if not usable:
        return None
    rank = len(shape_of(node.outputs[0]))
    tail = integer_tail(node.outputs[0], rank - 1, view, words=True)
    if tail.params is None:
        tail = float_result_tail(node.outputs[0], rank - 1, view)
    nodes = (node, *tail.nodes)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin()
        shape = shape_of(product.x)
        x = ctx.dense(ctx.tensor(product.x), identity(len(shape)), origin)
        inputs = [x]
        residual = None
        if tail.residual is not None and tail.params is None:
            residual = ctx.float_tensor(tail.residual, identity(rank))
        elif tail.residual is not None:
            residual = ctx.dense(ctx.tensor(tail.residual), identity(rank), origin)
        if residual is not None:
            inputs.append(residual)
        if tail.params is None:
            output = ctx.new_float(tail.result, identity(rank))
        else:
            output = ctx.new_quantized(tail.result, tail.params, identity(rank))
        acc_scale = np.float64(x.scale or 1.0) * weights.scale.astype(np.float64)
        record, arrays = epilogue(
            tail, mode_of_products(ctx.mode), acc_scale, output, residual, ctx.mode
        )
        rows = weights.values if product.transposed else weights.values.T
        arrays |= {
            "weight": rows[:, None, None, :],
            "bias": quantize_bias([bias, *tail.biases], acc_scale),
            "zero_point": np.array([x.zero_point], np.int32),
        }
        op = replace(product_record(shape, channels, x.dtype), requantize=record)
        ctx.builder.call(with_words(op), inputs, arrays, [output], origin)

    return Region(nodes, emit)


def match_float(node: ir.Node, view: QdqView) -> Region | None:
    """Gemm | MatMul with constant weights -> [tail], in float."""
    product = read_product(node)
    weight = view.constant_float(operand(node, 1)) if product is not None else None
    if product is None or weight is None:
        return None
    rows = _filters(weight, product)
    usable, bias = _channel_bias(product, view, rows.shape[0])
    if not usable:
        return None
    rank = len(shape_of(node.outputs[0]))
    tail = float_tail(node.outputs[0], rank - 1, view)
    nodes = (node, *tail.nodes)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin(view.float_reason(node))
        shape = shape_of(product.x)
        inputs = [ctx.float_tensor(product.x, identity(len(shape)))]
        if tail.residual is not None:
            inputs.append(ctx.float_tensor(tail.residual, identity(rank)))
        output = ctx.new_float(tail.result, identity(rank))
        total = sum_biases([bias, *tail.biases], rows.shape[0])
        arrays = {
            "weight": rows,
            "bias": total,
            "limits": np.array([tail.low, tail.high], np.float32),
        }
        op = replace(
            product_record(shape, rows.shape[0], "float32"), residual=tail.residual is not None
        )
        op, placement = with_products(ctx, node, op)
        factors = weight_factors(operand(node, 1), lambda w: _filters(w, product))
        ctx.builder.call(op, inputs, arrays, [output], origin, placement, factors)

    return Region(nodes, emit)


def _filters(weight: NDArray[Any], product: Product) -> NDArray[Any]:
    """The constant as filters of one pixel, (N, 1, 1, K)."""
    return (weight if product.transposed else weight.T)[:, None, None, :]
