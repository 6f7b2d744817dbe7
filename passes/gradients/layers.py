"""Derivatives of layers and normalizations by what they read, and by their biases."""

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from octavo.passes.gradients.backward import Rule, no_rule_for, one_output
from octavo.passes.gradients.emitter import Emitter, shape_of
from octavo.passes.gradients.window import conv_window, num_groups
from octavo.passes.wiring import float_attribute, int_attribute, ints_attribute


def _conv(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    dy = one_output(cotangents)
    if position == 2:
        return _channel_sums(e, node, dy)
    if position:
        raise no_rule_for(node, position)
    attributes = conv_window(node).transposed()
    return e.op("ConvTranspose", dy, node.inputs[1], group=num_groups(node), **attributes)


def _conv_transpose(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    dy = one_output(cotangents)
    if position == 2:
        return _channel_sums(e, node, dy)
    pads = ints_attribute(node, "pads")
    if position or node.attributes.get("auto_pad") or node.attributes.get("output_shape"):
        raise no_rule_for(node, position)
    kernel = shape_of(node.inputs[1])[2:]
    rank = len(kernel)
    attributes: dict[str, Any] = {
        "kernel_shape": list(kernel),
        "strides": list(ints_attribute(node, "strides") or (1,) * rank),
        "dilations": list(ints_attribute(node, "dilations") or (1,) * rank),
        "pads": list(pads or (0,) * (2 * rank)),
    }
    share = e.op("Conv", dy, node.inputs[1], group=num_groups(node), **attributes)
    # With output_padding a window can fit once more than there are inputs.
    sizes = shape_of(node.inputs[0])[2:]
    axes = list(range(2, 2 + rank))
    return e.op("Slice", share, e.ints([0] * rank), e.ints(sizes), e.ints(axes))


def _channel_sums(e: Emitter, node: ir.Node, dy: ir.Value) -> ir.Value:
    rank = len(shape_of(node.outputs[0]))
    return e.op("ReduceSum", dy, e.ints([0, *range(2, rank)]), keepdims=0)


def _gemm(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    dy = one_output(cotangents)
    a, b = node.inputs[0], node.inputs[1]
    trans_a, trans_b = int_attribute(node, "transA", 0), int_attribute(node, "transB", 0)
    alpha = float_attribute(node, "alpha", 1.0)
    if position == 2:
        share = e.scaled(dy, float_attribute(node, "beta", 1.0))
        return e.summed_to(share, shape_of(node.outputs[0]), shape_of(node.inputs[2]))
    if position == 0:
        first, second = (b, dy) if trans_a else (dy, b)
        flags = (trans_b, 1) if trans_a else (0, 1 - trans_b)
    else:
        first, second = (dy, a) if trans_b else (a, dy)
        flags = (1, trans_a) if trans_b else (1 - trans_a, 0)
    return e.op("Gemm", first, second, alpha=alpha, transA=flags[0], transB=flags[1])


def _matmul(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    dy = one_output(cotangents)
    shapes = [shape_of(node.inputs[0]), shape_of(node.inputs[1])]
    if min(len(shape) for shape in shapes) < 2:
        raise no_rule_for(node, position)
    other, rank = node.inputs[1 - position], len(shapes[1 - position])
    order = [*range(rank - 2), rank - 1, rank - 2]
    flipped = e.op("Transpose", other, perm=order)
    pair = (flipped, dy) if position else (dy, flipped)
    product = e.op("MatMul", *pair)
    batch = shape_of(node.outputs[0])[:-2]
    return e.summed_to(product, (*batch, *shapes[position][-2:]), shapes[position])


def _batch_norm(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    dy = one_output(cotangents)
    if position == 2:
        return _channel_sums(e, node, dy)
    if position or int_attribute(node, "training_mode", 0):
        raise no_rule_for(node, position)
    gamma, variance = node.inputs[1], node.inputs[4]
    epsilon = e.number(float_attribute(node, "epsilon", 1e-5))
    factor = e.op("Div", gamma, e.op("Sqrt", e.op("Add", variance, epsilon)))
    taps = (1,) * (len(shape_of(node.inputs[0])) - 2)
    return e.op("Mul", dy, e.reshaped(factor, (*shape_of(gamma), *taps)))


def _layer_norm(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    dy = one_output(cotangents)
    if position == 2:
        return e.summed_to(dy, shape_of(node.inputs[0]), shape_of(node.inputs[2]))
    if position:
        raise no_rule_for(node, position)
    centred, deviation = centred_and_deviation(e, node)
    unit = e.op("Div", centred, deviation)
    t = e.op("Mul", dy, node.inputs[1])
    mean = normalized_mean(e, node, e.op("Mul", t, unit))
    flat = e.op("Sub", t, normalized_mean(e, node, t))
    return e.op("Div", e.op("Sub", flat, e.op("Mul", unit, mean)), deviation)


def centred_and_deviation(e: Emitter, node: ir.Node) -> tuple[ir.Value, ir.Value]:
    """What a LayerNormalization divides, and what by."""
    x = node.inputs[0]
    assert x is not None
    centred = e.op("Sub", x, normalized_mean(e, node, x))
    power = normalized_mean(e, node, e.op("Mul", centred, centred))
    epsilon = e.number(float_attribute(node, "epsilon", 1e-5))
    return centred, e.op("Sqrt", e.op("Add", power, epsilon))


def normalized_mean(e: Emitter, node: ir.Node, value: ir.Value) -> ir.Value:
    """The mean over the dimensions that a LayerNormalization normalizes."""
    rank = len(shape_of(node.inputs[0]))
    axes = range(int_attribute(node, "axis", -1) % rank, rank)
    return e.op("ReduceMean", value, e.ints(list(axes)), keepdims=1)


def _softmax(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    dy, y = one_output(cotangents), node.outputs[0]
    axis = e.ints([int_attribute(node, "axis", -1)])
    weighted = e.op("ReduceSum", e.op("Mul", dy, y), axis, keepdims=1)
    return e.op("Mul", y, e.op("Sub", dy, weighted))


def _log_softmax(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    dy, y = one_output(cotangents), node.outputs[0]
    axis = e.ints([int_attribute(node, "axis", -1)])
    total = e.op("ReduceSum", dy, axis, keepdims=1)
    return e.op("Sub", dy, e.op("Mul", e.op("Exp", y), total))


LAYER_DERIVATIVES: dict[str, Rule] = {
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _log_softmax,
    "MatMul": _matmul,
    "Softmax": _softmax,
}
