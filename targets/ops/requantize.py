"""From an int32 accumulator to the output tensor: the end of every multiply-accumulate kernel.

Three rounding contracts, see ``requantize_float32``, ``requantize_dyadic`` and
``requantize_tflite``. All saturate; the first two round once, the residual included.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]

# Slots of the ``params`` operand, int32. Limits are of the stored output, zero point included.
PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX, PARAM_RESIDUAL_ZERO_POINT = range(4)
NUM_PARAMS = 4

SIGNIFICAND_BITS = 31  # a dyadic multiplier is an integer in [2**30, 2**31)
MAX_SHIFT = 62
DIVIDED_SHIFTS = range(SIGNIFICAND_BITS + 1, SIGNIFICAND_BITS + 22)
MAX_RESIDUAL_BITS = 53  # |residual term| < 2**62 with a 9-bit residual


@dataclass(frozen=True)
class Requantize:
    """Static part of the epilogue.

    Attributes:
        mode: "float32", "dyadic" or "tflite".
        dtype: Output type: "uint8", "int8"; or "float32", which dequantizes.
        residual: Type of the tensor added before rounding ("uint8" or "int8"; "float32" where
            the output is), or None.
        has_table: A 256-entry table maps the rounded value to the output.
        has_zero_point: The output's zero point may be another than 0.
        has_limits: The output's limits may be tighter than its type's, or values to be rounded
            may reach 2**31: where neither is so, saturation is enough.
        is_divided: In the mode "tflite" all shifts are ``DIVIDED_SHIFTS``: multipliers are
            below 1/2, but not many times.
    """

    mode: str = "float32"
    dtype: str = "uint8"
    residual: str | None = None
    has_table: bool = False
    has_zero_point: bool = True
    has_limits: bool = True
    is_divided: bool = False

    @property
    def is_integer(self) -> bool:
        """Whether results come from 64-bit integers."""
        return self.mode != "float32" and self.dtype != "float32"


def dyadic(multiplier: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Write real multipliers as significand * 2**-shift.

    Args:
        multiplier: Any shape, finite, > 0, below 2**30.

    Returns:
        int64 significands in [0, 2**31) and int64 shifts in [1, 62], the same shape; the
        significand has 31 bits unless the multiplier is below 2**-31.
    """
    fraction, exponent = np.frexp(np.asarray(multiplier, np.float64))
    shift = np.minimum(SIGNIFICAND_BITS - exponent.astype(np.int64), MAX_SHIFT)
    significand = np.rint(np.ldexp(np.asarray(multiplier, np.float64), shift)).astype(np.int64)
    overflow = significand == 1 << SIGNIFICAND_BITS  # 0.99999... rounded up
    significand = np.where(overflow, significand >> 1, significand)
    shift = np.where(overflow, shift - 1, shift)
    if (shift < 1).any():
        raise ValueError(f"multiplier {np.max(multiplier)}: must be below 2**30")
    del fraction
    return significand, shift


def fma_float32(
    a: NDArray[np.float32], b: NDArray[np.float32], c: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Compute a * b + c in float32 with one rounding.

    The product of two float32 is exact in float64. The float64 sum is rounded to odd, from its
    exact error, so that the final rounding to float32 sees on which side of a tie it lies.

    Source: Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums: proved
    algorithms using rounding to odd", IEEE Trans. Computers 57 (2008).
    """
    product = a.astype(np.float64) * b.astype(np.float64)
    addend = np.broadcast_to(c.astype(np.float64), product.shape)
    total = product + addend
    back = total - product
    error = (product - (total - back)) + (addend - back)
    even = (total.view(np.int64) & 1) == 0
    toward = np.where(error > 0, np.inf, -np.inf)
    odd = np.where((error != 0) & even, np.nextafter(total, toward), total)
    return odd.astype(np.float32)


def requantize_float32(
    acc: Int32Array,
    multiplier: NDArray[np.float32],
    params: Int32Array,
    residual: NDArray[np.integer] | None = None,
    residual_multiplier: NDArray[np.float32] | None = None,
) -> Int32Array:
    """Scale accumulators by float32 multipliers, round half to even, saturate.

    y = clamp(rint(float32(acc) * multiplier
    [+ float32(residual - zero) * residual_multiplier]) + zero_point).
    The addition, where there is one, is fused with the residual's product.

    Args:
        acc: (..., C) int32.
        multiplier: (C,) float32.
        params: (4,) int32, see the ``PARAM_`` slots.
        residual: (..., C) quantized tensor, or None.
        residual_multiplier: (1,) float32, residual scale over output scale.

    Returns:
        int32, same shape, within [qmin, qmax].
    """
    real = acc.astype(np.float32) * multiplier.astype(np.float32)
    if residual is not None and residual_multiplier is not None:
        centred = residual.astype(np.int32) - params[PARAM_RESIDUAL_ZERO_POINT]
        real = fma_float32(centred.astype(np.float32), residual_multiplier, real)
    zero_point = int(params[PARAM_ZERO_POINT])
    low, high = (
        np.float32(int(params[slot]) - zero_point) for slot in (PARAM_QMIN, PARAM_QMAX))
    return np.rint(np.clip(real, low, high)).astype(np.int32) + np.int32(zero_point)


def round_once(total: Int64Array, shift: Int64Array | np.int64) -> Int64Array:
    """Return total * 2**-shift rounded half up; ``shift`` is in [1, 62]."""
    rounded: Int64Array = (total + (np.int64(1) << (shift - 1))) >> shift
    return rounded


def round_twice(total: Int64Array, shift: Int64Array | np.int64) -> Int64Array:
    """Return total * 2**-shift, rounded at bit 31 and again where the shift is larger.

    The first rounding is half up, the second one half away from zero.

    Args:
        total: An accumulator times its significand.
        shift: In [1, 62].

    Source: gemmlowp, fixedpoint.h, SaturatingRoundingDoublingHighMul and RoundingDivideByPOT,
        as MultiplyByQuantizedMultiplier of TensorFlow Lite applies them.
    """
    first = np.minimum(shift, SIGNIFICAND_BITS)
    second = shift - first
    high = round_once(total, first)
    half = (np.int64(1) << second) >> 1
    is_negative = high >> 63  # -1 or 0
    rounded: Int64Array = (high + half + is_negative * np.minimum(half, 1)) >> second
    return rounded


def requantize_dyadic(
    acc: Int32Array,
    significand: NDArray[np.int64],
    shift: NDArray[np.int64],
    params: Int32Array,
    residual: NDArray[np.integer] | None = None,
    residual_significand: NDArray[np.int64] | None = None,
    rounded: Callable[[Int64Array, Int64Array], Int64Array] = round_once,
) -> Int32Array:
    """Scale accumulators by integers, round half up, saturate. No floating point.

    y = clamp(((acc * significand [+ (residual - zero) * residual_significand]
    + 2**(shift-1)) >> shift) + zero_point), in int64, the shift arithmetic.

    Args:
        acc: (..., C) int32.
        significand: (C,) int64 in [0, 2**31).
        shift: (C,) int64 in [1, 62].
        params: (4,) int32, see the ``PARAM_`` slots.
        residual: (..., C) quantized tensor, or None.
        residual_significand: (C,) int64, the residual's multiplier at the same shift.
        rounded: Another rounding than the formula's.

    Returns:
        int32, same shape, within [qmin, qmax].
    """
    total = acc.astype(np.int64) * significand
    if residual is not None and residual_significand is not None:
        centred = residual.astype(np.int64) - int(params[PARAM_RESIDUAL_ZERO_POINT])
        total = total + centred * residual_significand
    moved = rounded(total, shift) + int(params[PARAM_ZERO_POINT])
    limited = np.clip(moved, int(params[PARAM_QMIN]), int(params[PARAM_QMAX]))
    return np.asarray(limited, np.int32)


def requantize_tflite(
    acc: Int32Array,
    significand: NDArray[np.int64],
    shift: NDArray[np.int64],
    params: Int32Array,
    residual: NDArray[np.integer] | None = None,
    residual_significand: NDArray[np.int64] | None = None,
) -> Int32Array:
    """As ``requantize_dyadic``, but rounded as by TensorFlow Lite's reference kernels.

    A residual, which those kernels do not have, is added before the first rounding.
    """
    return requantize_dyadic(
        acc, significand, shift, params, residual, residual_significand, round_twice)
