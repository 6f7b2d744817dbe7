"""Derivatives of elementwise operators, with broadcasting.

A rule for one operand is the cotangent times the derivative; sums undo broadcasts.
"""

import math
from collections.abc import Callable, Sequence

import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.elementwise import clip_bounds
from octavo.passes.gradients.backward import Rule, no_rule_for, one_output
from octavo.passes.gradients.emitter import Emitter, shape_of
from octavo.passes.wiring import float_attribute, string_attribute

# The cotangent, by way of the derivative at x, where y is the output.
_Unary = Callable[[Emitter, ir.Node, ir.Value, ir.Value, ir.Value], ir.Value]

SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875  # of ONNX


def _relu(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return _where_positive(e, x, dy, e.number(0.0))


def _leaky_relu(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return _where_positive(e, x, dy, e.scaled(dy, float_attribute(n, "alpha", 0.01)))


def _elu(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    alpha = float_attribute(n, "alpha", 1.0)
    below = e.op("Mul", dy, e.op("Add", y, e.number(alpha)))
    return _where_positive(e, x, dy, below)


def _selu(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    alpha = float_attribute(n, "alpha", SELU_ALPHA)
    gamma = float_attribute(n, "gamma", SELU_GAMMA)
    below = e.op("Mul", dy, e.op("Add", y, e.number(alpha * gamma)))
    return _where_positive(e, x, e.scaled(dy, gamma), below)


def _sigmoid(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return e.op("Mul", dy, e.op("Mul", y, e.op("Sub", e.number(1.0), y)))


def _tanh(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return e.op("Mul", dy, e.op("Sub", e.number(1.0), e.op("Mul", y, y)))


def _softplus(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return e.op("Mul", dy, e.op("Sigmoid", x))


def _hard_sigmoid(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    slope = e.scaled(dy, float_attribute(n, "alpha", 0.2))
    return _where_inside(e, y, 0.0, 1.0, slope)


def _hard_swish(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    # x (x/6 + 1/2) between -3 and 3, x above, 0 below
    slope = e.op("Add", e.op("Div", x, e.number(3.0)), e.number(0.5))
    middle = e.op("Mul", dy, slope)
    above = e.op("Where", e.op("Greater", x, e.number(3.0)), dy, middle)
    return e.op("Where", e.op("Less", x, e.number(-3.0)), e.number(0.0), above)


def _erf(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    bell = e.op("Exp", e.op("Neg", e.op("Mul", x, x)))
    return e.op("Mul", dy, e.scaled(bell, 2.0 / math.sqrt(math.pi)))


def _gelu(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    square = e.op("Mul", x, x)
    if string_attribute(n, "approximate", "none") == "tanh":
        # y = x s with s = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
        root = 2.0 * math.sqrt(2.0 / math.pi)
        inner = e.op("Add", e.scaled(square, root * 0.044715), e.number(root))
        share = e.op("Sigmoid", e.op("Mul", x, inner))
        inner_slope = e.op("Add", e.scaled(square, 3.0 * root * 0.044715), e.number(root))
        slope = e.op("Mul", e.op("Sub", e.number(1.0), share), inner_slope)
        derivative = e.op("Mul", share, _one_plus(e, e.op("Mul", x, slope)))
        return e.op("Mul", dy, derivative)
    bell = e.op("Exp", e.scaled(square, -0.5))
    tail = e.scaled(_one_plus(e, e.op("Erf", e.scaled(x, math.sqrt(0.5)))), 0.5)
    slope = e.op("Mul", x, e.scaled(bell, 1.0 / math.sqrt(2.0 * math.pi)))
    return e.op("Mul", dy, e.op("Add", tail, slope))


def _exp(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return e.op("Mul", dy, y)


def _log(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return e.op("Div", dy, x)


def _sqrt(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return e.op("Div", e.scaled(dy, 0.5), y)


def _reciprocal(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return e.op("Neg", e.op("Mul", dy, e.op("Mul", y, y)))


def _neg(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return e.op("Neg", dy)


def _abs(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return e.op("Mul", dy, e.op("Sign", x))


def _identity(e: Emitter, n: ir.Node, dy: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return dy


def _one_plus(e: Emitter, value: ir.Value) -> ir.Value:
    return e.op("Add", value, e.number(1.0))


def _where_positive(e: Emitter, x: ir.Value, positive: ir.Value, other: ir.Value) -> ir.Value:
    return e.op("Where", e.op("Greater", x, e.number(0.0)), positive, other)


def _where_inside(
    e: Emitter, x: ir.Value, low: float, high: float, inside: ir.Value
) -> ir.Value:
    """``inside`` where low < x < high, elsewhere 0."""
    if high < math.inf:
        below = e.op("Less", x, e.number(high))
        inside = e.op("Where", below, inside, e.number(0.0))
    if low > -math.inf:
        above = e.op("Greater", x, e.number(low))
        inside = e.op("Where", above, inside, e.number(0.0))
    return inside


_UNARY: dict[str, _Unary] = {
    "Abs": _abs,
    "Elu": _elu,
    "Erf": _erf,
    "Exp": _exp,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": _identity,
    "LeakyRelu": _leaky_relu,
    "Log": _log,
    "Neg": _neg,
    "Reciprocal": _reciprocal,
    "Relu": _relu,
    "Selu": _selu,
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Sqrt": _sqrt,
    "Tanh": _tanh,
}


def _unary_rule(slope: _Unary) -> Rule:
    def rule(
        e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
    ) -> ir.Value:
        x = node.inputs[0]
        assert x is not None
        return slope(e, node, one_output(cotangents), x, node.outputs[0])

    return rule


def _clip(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    x = node.inputs[0]
    if position or x is None:
        raise no_rule_for(node, position)
    return _where_inside(e, x, *clip_bounds(node), one_output(cotangents))


def _sum(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    dy = one_output(cotangents)
    return _undo_broadcast(
        e, node, position, e.op("Neg", dy) if _subtracts(node, position) else dy
    )


def _subtracts(node: ir.Node, position: int) -> bool:
    return node.op_type == "Sub" and position == 1


def _mul(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    other = node.inputs[1 - position]
    return _undo_broadcast(e, node, position, e.op("Mul", one_output(cotangents), other))


def _div(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    share = e.op("Div", one_output(cotangents), node.inputs[1])
    if position == 1:
        share = e.op("Neg", e.op("Mul", share, node.outputs[0]))
    return _undo_broadcast(e, node, position, share)


def _pow(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    exponent = constant_array(node.inputs[1])
    if position or exponent is None:
        raise no_rule_for(node, 1)
    power = e.op("Pow", node.inputs[0], e.array(exponent - 1.0))
    slope = e.op("Mul", e.array(exponent), power)
    return _undo_broadcast(e, node, 0, e.op("Mul", one_output(cotangents), slope))


def _prelu(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    x = node.inputs[0]
    if position or x is None:
        raise no_rule_for(node, position)
    dy = one_output(cotangents)
    return _where_positive(e, x, dy, e.op("Mul", dy, node.inputs[1]))


def _extreme(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    chosen = e.op("Equal", node.inputs[position], node.outputs[0])
    share = e.op("Where", chosen, one_output(cotangents), e.number(0.0))
    return _undo_broadcast(e, node, position, share)


def _where(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    if position == 0:
        raise no_rule_for(node, position)
    dy, zero = one_output(cotangents), e.number(0.0)
    branches = (dy, zero) if position == 1 else (zero, dy)
    return _undo_broadcast(e, node, position, e.op("Where", node.inputs[0], *branches))


def _undo_broadcast(e: Emitter, node: ir.Node, position: int, share: ir.Value) -> ir.Value:
    return e.summed_to(share, shape_of(node.outputs[0]), shape_of(node.inputs[position]))


ELEMENTWISE_DERIVATIVES: dict[str, Rule] = {
    **{op_type: _unary_rule(slope) for op_type, slope in _UNARY.items()},
    "Add": _sum,
    "Clip": _clip,
    "Div": _div,
    "Max": _extreme,
    "Min": _extreme,
    "Mul": _mul,
    "Pow": _pow,
    "PRelu": _prelu,
    "Sub": _sum,
    "Sum": _sum,
    "Where": _where,
}
