"""Fixed-point tanh and sigmoid, and the fixed-point rows of recurrent cells. Integers only."""

import numpy as np
from numpy.typing import NDArray

Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]

STATE_BITS = 16  # behind the point of gate inputs and of the cell state: range +-2**15
TANH_BITS = 15  # of tanh; sigmoid has one more
TANH_RANGE = 8  # tanh is constant outside +-8, to 2**-21
SEGMENT_BITS = 14  # of one segment of the table, in steps of 2**-16: 4 segments per unit
NUM_SEGMENTS = TANH_RANGE << (STATE_BITS - SEGMENT_BITS)  # tanh is odd: of magnitudes only
NODE_BITS = 25  # behind the point of tanh at the start of a segment
SLOPE_BITS = 16  # of the steepest slope of a segment
EXPONENT_BITS = 5  # of a segment's shift
COEFFICIENT_BITS = 16  # of two coefficients that share a word
TABLE_ROWS = 3
GATE_LIMIT = 1 << 29  # two parts of a gate input are limited to it before they are added
MAX_SHIFT = 62
SIGNIFICAND_BITS = 31
BIAS_BITS = 60


def tanh_table() -> Int32Array:
    """Cubics through four points of tanh in each segment, (TABLE_ROWS, NUM_SEGMENTS) int32.

    With u in [0, 1) along a segment, tanh is node + u * (c1 + u * (c2 + u * c3)). The
    coefficients of a segment share an exponent, so that the slope keeps its precision where
    tanh is flat: the result never falls. Both ends are points, so that segments meet; with
    the inner two at Lobatto's places, a segment of 1/4 is off by at most 2**-16.5.

    Returns:
        Row 0: node << EXPONENT_BITS | shift, of the node with ``NODE_BITS`` behind the point
        and half of a step added; row 1: c2 << COEFFICIENT_BITS | c1; row 2: c3.
    """
    points = np.array([0, 0.25, 0.75, 1])
    starts = np.arange(NUM_SEGMENTS)[:, None] * 2.0 ** (SEGMENT_BITS - STATE_BITS)
    values = np.tanh(starts + points * 2.0 ** (SEGMENT_BITS - STATE_BITS))
    c0, *rest = np.linalg.solve(np.vander(points, increasing=True), values.T)
    steepest = np.maximum(np.abs(rest[0]), np.abs(np.sum(rest, axis=0)))
    exponent = SLOPE_BITS - np.frexp(steepest)[1]
    c1, c2, c3 = np.rint(np.ldexp(rest, exponent)).astype(np.int64)
    half = 1 << (NODE_BITS - TANH_BITS - 1)
    node = np.rint(c0 * 2.0**NODE_BITS).astype(np.int64) + half
    shift = SEGMENT_BITS + exponent - NODE_BITS
    return np.stack(
        [node << EXPONENT_BITS | shift, c2 << COEFFICIENT_BITS | c1, c3]).astype(np.int32)


def tanh_fixed(value: Int32Array) -> Int32Array:
    """Compute tanh of a number with ``STATE_BITS``, with ``TANH_BITS`` behind the point.

    A sigmoid is 2**15 + tanh_fixed(x / 2), with 16 bits behind the point. Every product is
    below 2**31.

    Args:
        value: Any shape, any int32.

    Returns:
        int32, same shape, in [-32767, 32767], odd and never falling; the error is below
        2**-14.9.
    """
    limit = (TANH_RANGE << STATE_BITS) - 1
    position = np.abs(np.clip(value, -limit, limit))
    first, second, c3 = tanh_table()[:, position >> SEGMENT_BITS]
    fraction = position & ((1 << SEGMENT_BITS) - 1)
    bend = (second >> COEFFICIENT_BITS) + ((c3 * fraction) >> SEGMENT_BITS)
    slope = (second & ((1 << COEFFICIENT_BITS) - 1)) + ((bend * fraction) >> SEGMENT_BITS)
    rise = (slope * fraction) >> (first & ((1 << EXPONENT_BITS) - 1))
    magnitude = ((first >> EXPONENT_BITS) + rise) >> (NODE_BITS - TANH_BITS)
    magnitude = np.minimum(magnitude, (1 << TANH_BITS) - 1)
    result: Int32Array = np.where(value < 0, -magnitude, magnitude).astype(np.int32)
    return result


def fixed_rows(
    multiplier: NDArray[np.float64], bias: NDArray[np.float64]
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Write acc * multiplier + bias as (acc * significand + fixed_bias) >> shift.

    Args:
        multiplier: Any shape, >= 0 and below 2**30.
        bias: Same shape.

    Returns:
        int64 significands below 2**31, int64 biases below 2**60 that include half of the
        rounding step, and int64 shifts in [1, 62].
    """
    shift = np.minimum(
        SIGNIFICAND_BITS - np.frexp(multiplier)[1], BIAS_BITS - np.frexp(bias)[1])
    shift = np.clip(shift.astype(np.int64), 1, MAX_SHIFT)
    significand = np.rint(np.ldexp(multiplier, shift)).astype(np.int64)
    significand = np.minimum(significand, (1 << SIGNIFICAND_BITS) - 1)
    fixed = np.ldexp(bias, shift)
    limit = 2.0**BIAS_BITS
    fixed_bias = np.rint(np.clip(fixed, -limit, limit)).astype(np.int64)
    return significand, fixed_bias + (np.int64(1) << (shift - 1)), shift


def apply_rows(
    acc: Int32Array, significand: Int64Array, bias: Int64Array, shift: Int64Array
) -> Int32Array:
    """Apply ``fixed_rows``, limited to +-GATE_LIMIT."""
    value = (acc.astype(np.int64) * significand + bias) >> shift
    limited: Int32Array = np.clip(value, -GATE_LIMIT, GATE_LIMIT).astype(np.int32)
    return limited


def round_shift(value: Int64Array, shift: int | Int64Array) -> Int64Array:
    """Divide by 2**shift, rounding half up."""
    result: Int64Array = (value + (np.int64(1) << (shift - np.int64(1)))) >> shift
    return result
