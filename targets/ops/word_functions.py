"""Sigmoid and tanh of 16-bit fixed-point numbers, as TensorFlow Lite's LSTM computes them.

Every intermediate number fits 16 bits, every product 31.

Source: gemmlowp, fixedpoint/fixedpoint.h (logistic, tanh), instantiated for int16.
"""

import math

import numpy as np
from numpy.typing import NDArray

Int32Array = NDArray[np.int32]

WORD_MIN, WORD_MAX = -(1 << 15), (1 << 15) - 1
WORD_FRACTION_BITS = 15  # of a number in [-1, 1)
ONE = WORD_MAX  # 1 among numbers in [-1, 1)
GATE_INTEGER_BITS = 3  # of what sigmoid and tanh of gates are taken
MAX_INTEGER_BITS = 6  # of what tanh is taken
# exp is a polynomial around -1/8 in [-1/4, 0); factors for powers of 2 do the rest
QUARTER_BITS = WORD_FRACTION_BITS - 2
EXPONENTS = range(-2, 5)
MAX_EXACT_BITS = 5  # of integer; wider numbers lie below the lowest exponent too
LOWEST_EXPONENT = -32
DIVISION_BITS = 13  # behind the point while dividing
DIVISION_STEPS = 3


def word_constant(value: float, fraction_bits: int = WORD_FRACTION_BITS) -> int:
    """Nearest fixed-point number."""
    return round(math.ldexp(value, fraction_bits))


EXP_MIDDLE = word_constant(math.exp(-1 / 8))
ONE_THIRD = word_constant(1 / 3)
EXP_FACTORS = tuple(word_constant(math.exp(-(2.0**e))) for e in EXPONENTS)
# Newton's first guess of 1 / d for d in [1/2, 1] is 48/17 - 32/17 * d
GUESS, GUESS_SLOPE = (word_constant(v, DIVISION_BITS) for v in (48 / 17, -32 / 17))


def word_sigmoid(value: Int32Array) -> Int32Array:
    """Compute 1 / (1 + exp(-x)).

    Args:
        value: Any shape, 16-bit numbers with ``GATE_INTEGER_BITS`` before the point.

    Returns:
        The same shape, ``WORD_FRACTION_BITS`` behind the point, in [0, 32767].
    """
    inverse = _inverse_of_one_and(_exp_of_negative(-np.abs(value), GATE_INTEGER_BITS))
    positive = _shifted_left(inverse, WORD_FRACTION_BITS - 1 - DIVISION_BITS)
    half = 1 << (WORD_FRACTION_BITS - 1)
    result: Int32Array = np.where(value > 0, positive, ONE - positive).astype(np.int32)
    return np.where(value == 0, np.int32(half), result)


def word_tanh(value: Int32Array, integer_bits: int) -> Int32Array:
    """Compute (1 - exp(-2x)) / (1 + exp(-2x)).

    Args:
        value: Any shape, 16-bit numbers.
        integer_bits: Theirs before the point, 0 to ``MAX_INTEGER_BITS``.

    Returns:
        The same shape, ``WORD_FRACTION_BITS`` behind the point.
    """
    # the same digits with one more integer bit are twice the number
    inverse = _inverse_of_one_and(_exp_of_negative(-np.abs(value), integer_bits + 1))
    ratio = inverse - (1 << DIVISION_BITS)
    magnitude = _shifted_left(ratio, WORD_FRACTION_BITS - DIVISION_BITS)
    result: Int32Array = np.where(value < 0, -magnitude, magnitude).astype(np.int32)
    return np.where(value == 0, np.int32(0), result)


def divide_rounding(value: Int32Array, bits: int) -> Int32Array:
    """Divide by 2**bits, rounding half away from zero."""
    half = (1 << bits) >> 1
    result: Int32Array = (value + half - ((value < 0) & (bits > 0))) >> bits
    return result


def saturate_word(value: Int32Array) -> Int32Array:
    """Limit to 16 bits."""
    return np.clip(value, WORD_MIN, WORD_MAX)


def _exp_of_negative(value: Int32Array, integer_bits: int) -> Int32Array:
    """Exp of numbers that are not positive, in [0, ONE]."""
    fraction_bits = WORD_FRACTION_BITS - integer_bits
    quarter = 1 << (fraction_bits - 2)
    in_quarter = (value & (quarter - 1)) - quarter
    remainder = in_quarter - value
    result = _exp_in_quarter(in_quarter << integer_bits)
    for exponent, factor in zip(EXPONENTS, EXP_FACTORS, strict=True):
        if exponent < integer_bits:
            is_set = (remainder >> (fraction_bits + exponent)) & 1
            result = np.where(is_set == 1, _product(result, factor), result)
    if integer_bits > MAX_EXACT_BITS:
        result = np.where(value < LOWEST_EXPONENT << fraction_bits, 0, result)
    return np.where(value == 0, ONE, result)


def _exp_in_quarter(value: Int32Array) -> Int32Array:
    """Exp of numbers in [-1/4, 0)."""
    x = value + (1 << (WORD_FRACTION_BITS - 3))
    x2 = _product(x, x)
    x3, x4 = _product(x2, x), _product(x2, x2)
    high = _product(divide_rounding(x4, 2) + x3, ONE_THIRD)
    bend = divide_rounding(high + x2, 1)
    return np.minimum(EXP_MIDDLE + _product(x + bend, EXP_MIDDLE), ONE)


def _inverse_of_one_and(value: Int32Array) -> Int32Array:
    """2 / (1 + x) for x in [0, 1], ``DIVISION_BITS`` behind the point."""
    half_sum = (value + ONE + 1) >> 1
    x = GUESS + _product(half_sum, GUESS_SLOPE)
    for _ in range(DIVISION_STEPS):
        missing = (1 << DIVISION_BITS) - _product(half_sum, x)
        # a product of two of them has as many bits fewer behind the point as each lacks
        x = x + _shifted_left(_product(x, missing), WORD_FRACTION_BITS - DIVISION_BITS)
    return x


def _product(a: Int32Array, b: Int32Array | int) -> Int32Array:
    """A * b / 2**15, rounded half up."""
    result: Int32Array = (a * b + (1 << (WORD_FRACTION_BITS - 1))) >> WORD_FRACTION_BITS
    return result


def _shifted_left(value: Int32Array, bits: int) -> Int32Array:
    return saturate_word(value << bits)
