"""How TensorFlow Lite's reference kernels round, where that is more than an epilogue.

The mode "tflite" rounds what those kernels multiply by a fixed-point number as they do. What
they compute otherwise (softmax, resizing) rounds as in the mode "float32", which is
nearer to them than "dyadic" is.

Source: tensorflow/lite/kernels: internal/common.cc, reduce.cc, hard_swish in
    internal/reference/hard_swish.h, reference/integer_ops/pooling.h.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.lowering.qdq_graph import QuantParams
from octavo.compiler.lowering.tensor import Tensor
from octavo.targets.ops.requantize import dyadic, round_twice

TFLITE = "tflite"
NUM_VALUES = 256
_SUM_BITS = 20  # of an operand of a sum, behind its point
INT16 = np.iinfo(np.int16)
_HIGH_BITS = 7  # input steps are divided so often for 16-bit arithmetic
_RELU_STEP = 3 / 32768  # x / 3 in [-1, 1) fills 16 bits


def mode_beside(mode: str) -> str:
    """The contract of operations that "tflite" says nothing about."""
    return "float32" if mode == TFLITE else mode


def mode_of_products(mode: str) -> str:
    """The contract of matrix products: FULLY_CONNECTED rounds once, half up."""
    return "dyadic" if mode == TFLITE else mode


def divide_significand(arrays: dict[str, NDArray[Any]], count: int) -> None:
    """Divide the multiplier of a sum by the number of its elements, as MEAN does.

    Args:
        arrays: "significand" and "shift" of the sum; changed.
        count: At least 1.
    """
    bits = min(count.bit_length() - 1, 32)
    divided = (arrays["significand"].astype(np.int64) << bits) // count
    arrays["significand"] = divided.astype(np.int32)
    arrays["shift"] = arrays["shift"] + np.int32(bits)


def sum_constants(
    scales: tuple[np.float64, np.float64], output: np.float64
) -> dict[str, NDArray[Any]]:
    """Constants of ADD and SUB: what scales the operands, and what scales their sum.

    Source: tensorflow/lite/kernels/add.cc, the branch of 8-bit integers.

    Args:
        scales: Of the operands.
        output: Scale of the result.
    """
    unit = 2 * max(scales)
    significands, shifts = dyadic(np.array([scale / unit for scale in scales]))
    significand, shift = dyadic(np.array([unit / (2.0**_SUM_BITS * output)]))
    wide = significands << _SUM_BITS
    return {
        "terms": np.array([wide[0], shifts[0], wide[1], shifts[1]], np.int64),
        "significand": significand.astype(np.int32),
        "shift": shift.astype(np.int32),
    }


def average_plainly(arrays: dict[str, NDArray[Any]], zero_point: int) -> None:
    """Average stored integers and round half away from zero, as AVERAGE_POOL_2D does.

    The epilogue's mode must be "dyadic", and input and output have one scale. The significand
    of 1 / n becomes a little larger than that, so that ties are none: too little to matter
    elsewhere, as sums of fewer than 2**20 bytes are an n-th part or more from the next tie.

    Args:
        arrays: Constants of the pool; changed.
        zero_point: What the file stores as 0.
    """
    arrays["significand"] = arrays["significand"] + np.int32(1)
    arrays["zero_point"] = np.array([zero_point], np.int32)
    arrays["params"] = arrays["params"].copy()
    arrays["params"][0] = zero_point


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
