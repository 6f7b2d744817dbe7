"""Fixed-point tanh and sigmoid, and the fixed-point rows of recurrent cells. Integers only."""

import numpy as np
from numpy.typing import NDArray

Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]

STATE_BITS = 16  # behind the point of gate inputs and of the cell state: range +-2**15
TANH_BITS = 15  # of tanh; sigmoid has one more
TANH_RANGE = 8  # tanh is constant outside +-8, to 2**-21
SEGMENT_BITS = 10  # of one segment of the table, in steps of 2**-16: 64 segments per unit
NUM_SEGMENTS = 2 * TANH_RANGE << (STATE_BITS - SEGMENT_BITS)
GATE_LIMIT = 1 << 29  # two parts of a gate input are limited to it before they are added
MAX_SHIFT = 62
SIGNIFICAND_BITS = 31
BIAS_BITS = 60


def tanh_table() -> Int32Array:
    """Start and rise of tanh in each segment, (NUM_SEGMENTS,) int32: start << 16 | rise.

    The line between two nodes is off by at most 0.77 / (8 * 64**2) = 2**-15.4, the nodes by
    2**-16, and by 2**-15 where 1 is not representable.
    """
    nodes = np.arange(NUM_SEGMENTS + 1, dtype=np.float64)
    nodes = nodes * 2.0 ** (SEGMENT_BITS - STATE_BITS) - TANH_RANGE
    limit = 2**TANH_BITS - 1
    values = np.clip(np.rint(np.tanh(nodes) * 2.0**TANH_BITS), -limit, limit).astype(np.int32)
    table: Int32Array = (values[:-1] << 16) | np.diff(values)
    return table


def tanh_fixed(value: Int32Array) -> Int32Array:
    """Compute tanh of a number with ``STATE_BITS``, with ``TANH_BITS`` behind the point.

    A sigmoid is 2**15 + tanh_fixed(x / 2), with 16 bits behind the point.

    Args:
        value: Any shape, any int32.

    Returns:
        int32, same shape, in [-32767, 32767]; the error is below 2**-14.
    """
    limit = TANH_RANGE << STATE_BITS
    position = np.clip(value, -limit, limit - 1) + limit
    entry = tanh_table()[position >> SEGMENT_BITS]
    fraction = position & ((1 << SEGMENT_BITS) - 1)
    rise = ((entry & 0xFFFF) * fraction + (1 << (SEGMENT_BITS - 1))) >> SEGMENT_BITS
    result: Int32Array = (entry >> 16) + rise
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
