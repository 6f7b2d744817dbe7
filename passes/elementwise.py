"""Elementwise operators as numpy functions, in float64.

An operator in this table computes each output value from the values at the same place of its
inputs. When all of them come from one 8-bit tensor, the result is a table of 256 entries.
"""

import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import constant_array, scalar_constant
from octavo.passes.wiring import float_attribute, is_op, string_attribute

Array = NDArray[np.float64]
Function = Callable[..., Array]

_erf: Function = np.vectorize(math.erf, otypes=[np.float64])

# SELU's constants to float32, as ONNX gives them.
_SELU_ALPHA, _SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _softplus(x: Array) -> Array:
    return np.logaddexp(0.0, x)


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _hard_sigmoid(x: Array, alpha: float, beta: float) -> Array:
    return np.clip(alpha * x + beta, 0.0, 1.0)


# Operators without attributes that change the function.
_PLAIN: dict[str, Function] = {
    "Abs": np.abs,
    "Acos": np.arccos,
    "Acosh": np.arccosh,
    "Add": np.add,
    "Asin": np.arcsin,
    "Asinh": np.arcsinh,
    "Atan": np.arctan,
    "Atanh": np.arctanh,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Cosh": np.cosh,
    "Div": np.divide,
    "Erf": _erf,
    "Exp": np.exp,
    "Floor": np.floor,
    "HardSwish": lambda x: x * _hard_sigmoid(x, 1.0 / 6.0, 0.5),
    "Log": np.log,
    "Max": lambda *xs: np.maximum.reduce(np.broadcast_arrays(*xs)),
    "Min": lambda *xs: np.minimum.reduce(np.broadcast_arrays(*xs)),
    "Mish": lambda x: x * np.tanh(_softplus(x)),
    "Mul": np.multiply,
    "Neg": np.negative,
    "Pow": np.power,
    "PRelu": lambda x, slope: np.where(x < 0, slope * x, x),
    "Reciprocal": np.reciprocal,
    "Relu": lambda x: np.maximum(x, 0.0),
    "Round": np.rint,
    "Sigmoid": _sigmoid,
    "Sign": np.sign,
    "Sin": np.sin,
    "Sinh": np.sinh,
    "Softplus": _softplus,
    "Softsign": lambda x: x / (1.0 + np.abs(x)),
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Tan": np.tan,
    "Tanh": np.tanh,
}

# Operators whose attributes are parameters, with ONNX's defaults.
_PARAMETRIC: dict[str, Callable[[ir.Node, Array], Array]] = {
    "Celu": lambda node, x: _celu(x, float_attribute(node, "alpha", 1.0)),
    "Elu": lambda node, x: _elu(x, float_attribute(node, "alpha", 1.0)),
    "Gelu": lambda node, x: (
        _gelu_tanh(x)
        if string_attribute(node, "approximate", "none") == "tanh"
        else 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))
    ),
    "HardSigmoid": lambda node, x: _hard_sigmoid(
        x, float_attribute(node, "alpha", 0.2), float_attribute(node, "beta", 0.5)
    ),
    "LeakyRelu": lambda node, x: np.where(x < 0, float_attribute(node, "alpha", 0.01) * x, x),
    "Selu": lambda node, x: (
        float_attribute(node, "gamma", _SELU_GAMMA)
        * _elu(x, float_attribute(node, "alpha", _SELU_ALPHA))
    ),
    "Shrink": lambda node, x: _shrink(
        x, float_attribute(node, "lambd", 0.5), float_attribute(node, "bias", 0.0)
    ),
    "Swish": lambda node, x: x * _sigmoid(float_attribute(node, "alpha", 1.0) * x),
    "ThresholdedRelu": lambda node, x: np.where(
        x > float_attribute(node, "alpha", 1.0), x, 0.0
    ),
}


def _celu(x: Array, alpha: float) -> Array:
    return np.maximum(x, 0.0) + np.minimum(0.0, alpha * np.expm1(np.minimum(x, 0.0) / alpha))


def _shrink(x: Array, lambd: float, bias: float) -> Array:
    return np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0.0))


ELEMENTWISE_OP_TYPES = (*_PLAIN, *_PARAMETRIC, "Clip")


def is_elementwise(node: ir.Node) -> bool:
    """Whether a node is in the table (it may still have several computed inputs)."""
    return is_op(node, *ELEMENTWISE_OP_TYPES) and len(node.outputs) == 1


def evaluate(node: ir.Node, inputs: list[Array]) -> Array:
    """Compute an elementwise node.

    Args:
        node: A node for which ``is_elementwise`` holds. Clip's bounds are read from the node.
        inputs: The values, any shapes that broadcast, float64.

    Returns:
        float64; invalid arguments give NaN or infinity without a warning.
    """
    with np.errstate(all="ignore"):
        if node.op_type == "Clip":
            low, high = clip_bounds(node)
            return np.clip(inputs[0], low, high)
        if node.op_type in _PARAMETRIC:
            return _PARAMETRIC[node.op_type](node, inputs[0])
        return _PLAIN[node.op_type](*inputs)


def clip_bounds(node: ir.Node) -> tuple[float, float]:
    """Bounds of a Clip with constant bounds; infinite where it has none."""
    bounds = [-math.inf, math.inf]
    for position in (1, 2):
        value = node.inputs[position] if len(node.inputs) > position else None
        if value is not None:
            constant = scalar_constant(value)
            if constant is None:
                raise ValueError(f"Clip {node.name!r}: a bound is computed")
            bounds[position - 1] = constant
    return bounds[0], bounds[1]


def is_zero_clip(node: ir.Node) -> bool:
    """Whether a node is Relu, or Clip from 0 to a positive constant or to infinity."""
    if is_op(node, "Relu"):
        return True
    bounds = node.inputs[1:] if is_op(node, "Clip") else None
    if bounds is None or any(v is not None and constant_array(v) is None for v in bounds):
        return False
    low, high = clip_bounds(node)
    return low == 0.0 and high > 0.0 and not math.isnan(high)
