"""Functions of one 8-bit number as TensorFlow Lite's reference kernels round them.

Other functions are tables there as well, rounded as here.

Source: tensorflow/lite/kernels: internal/reference/hard_swish.h, leaky_relu.h, requantize.h;
    elementwise.cc (SqrtEvalQuantized); concatenation.h (ConcatenationWithScaling).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.qdq_graph import QuantParams, float_attribute
from octavo.compiler.lowering.tensor import Tensor
from octavo.targets.ops.requantize import dyadic, round_twice

NUM_VALUES = 256
INT16 = np.iinfo(np.int16)
_HIGH_BITS = 7  # input steps are divided so often for 16-bit arithmetic
_RELU_STEP = 3 / 32768  # x / 3 in [-1, 1) fills 16 bits
_SLOPE = 0.01  # of LeakyRelu in ONNX

Params = QuantParams | Tensor


def function_table(node: ir.Node, before: Params, after: QuantParams) -> NDArray[Any] | None:
    """Table of an operator that the reference does not compute as a rounded real number.

    Args:
        node: Its output is quantized.
        before: How its input is stored.
        after: How its output is stored.
    """
    if node.op_type == "LeakyRelu":
        return leaky_relu_table(before, after, float_attribute(node, "alpha", _SLOPE))
    tables: dict[str, Callable[[Params, QuantParams], NDArray[Any]]] = {
        "HardSwish": hard_swish_table,
        "Sqrt": root_table,
    }
    table = tables.get(node.op_type)
    return None if table is None else table(before, after)


def leaky_relu_table(before: Params, after: QuantParams, alpha: float) -> NDArray[Any]:
    """Table of x, or x * alpha where that is negative."""
    steps = _centred(before)
    ratio = np.float32(before.scale or 1.0) / np.float32(after.scale)
    slope = np.float32(before.scale or 1.0) * np.float32(alpha) / np.float32(after.scale)
    above, below = (_scaled(steps, np.float64(factor)) for factor in (ratio, slope))
    return _stored(np.where(steps >= 0, above, below), after)


def root_table(before: Params, after: QuantParams) -> NDArray[Any]:
    """Table of the square root, rounded down; 0 of what is negative."""
    real = np.maximum(_centred(before), 0).astype(np.float32) * np.float32(before.scale or 1.0)
    steps = np.trunc(np.sqrt(real) / np.float32(after.scale))
    return _stored(steps.astype(np.int64), after)


def _scaled(steps: NDArray[np.int64], factor: np.float64) -> NDArray[np.int64]:
    """Multiply by a fixed-point number that may be negative or 0."""
    if factor == 0:
        return steps * 0
    significand, shift = dyadic(np.asarray(abs(factor)))
    scaled = round_twice(steps * significand, shift)
    return -scaled if factor < 0 else scaled


def rescaled_table(before: QuantParams | Tensor, after: QuantParams) -> NDArray[Any]:
    """Table from the stored integers of one quantization to those of another."""
    steps = _centred(before)
    ratio = np.float64(before.scale or 1.0) / np.float64(after.scale)
    significand, shift = dyadic(np.asarray(ratio))
    return _stored(round_twice(steps * significand, shift), after)


def hard_swish_table(before: QuantParams | Tensor, after: QuantParams) -> NDArray[Any]:
    """Table of x * relu6(x + 3) / 6 in 16-bit fixed point."""
    fine = np.float32(before.scale or 1.0) * np.float32(1 / 2**_HIGH_BITS)
    out_factor, out_exponent = _factor16(np.float64(fine / np.float32(after.scale)))
    relu_factor, relu_exponent = _factor16(np.float64(fine / np.float32(_RELU_STEP)))
    x = _centred(before) << _HIGH_BITS
    scaled = _high_product(x, out_factor)
    relu = x
    if relu_exponent > 0:
        relu = _saturated(relu << (relu_exponent - 1))
    relu = _high_product(relu, relu_factor)
    relu = _saturated(relu << 1) if relu_exponent > 0 else _divided(relu, -relu_exponent)
    gate = (relu + 2**15) >> 1
    # this product drops bits where the others round, which cancels their bias
    product = _saturated(np.trunc(gate * scaled / 2**15).astype(np.int64))
    return _stored(_divided(product, -out_exponent), after)


def _centred(params: QuantParams | Tensor) -> NDArray[np.int64]:
    """(256,) stored bytes 0 to 255 less the zero point."""
    integers = np.arange(NUM_VALUES, dtype=np.uint8).view(params.dtype).astype(np.int64)
    return integers - params.zero_point


def _stored(steps: NDArray[np.int64], params: QuantParams) -> NDArray[Any]:
    limited = np.clip(steps + params.zero_point, params.qmin, params.qmax)
    return limited.astype(params.dtype)


def _factor16(multiplier: np.float64) -> tuple[int, int]:
    """Write a multiplier as an integer of 15 bits * 2**(exponent - 15)."""
    fraction, exponent = np.frexp(multiplier)
    wide = int(np.rint(np.ldexp(fraction, 31)))
    return min((wide + 2**15) >> 16, int(INT16.max)), int(exponent)


def _high_product(a: NDArray[np.int64], b: int) -> NDArray[np.int64]:
    """A * b / 2**15 rounded half up, as SaturatingRoundingDoublingHighMul."""
    return (a * b + 2**14) >> 15


def _divided(value: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Divide by 2**bits, rounding half away from zero, as RoundingDivideByPOT."""
    half = (1 << bits) >> 1
    return (value + half - ((value < 0) & (bits > 0))) >> bits


def _saturated(value: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.clip(value, INT16.min, INT16.max)
