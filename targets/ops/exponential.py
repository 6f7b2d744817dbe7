"""exp of numbers that are not above 0, in float32: the same bits on every target."""

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.requantize import fma_float32

# Source: Cephes Mathematical Library 2.2, expf.c (Moshier 1992).
EXP_TERMS = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
             1.6666665459e-1, 5.0000001201e-1)  # fmt: skip
LOG2_E = 1.44269504088896341
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4  # 9 bits, so that n * LN2_HIGH is exact
MANTISSA_BITS, EXPONENT_BIAS = 23, 127
ROUNDER = 1.5 * 2**MANTISSA_BITS  # its sum with a small number is rounded to an integer
# Results stay normal, also where 2**31 of them divide one: 32-bit Arm takes others for 0.
LOWEST = -64.0


def exp_float32(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute exp(max(x, LOWEST)), off by at most 1.5 units in the last place.

    Args:
        x: Finite, at most 0.

    Returns:
        Float32 in [1.6e-28, 1], the same shape.
    """
    x = np.maximum(x.astype(np.float32), np.float32(LOWEST))
    n = _fma(x, LOG2_E, np.full_like(x, ROUNDER)) - np.float32(ROUNDER)
    r = _fma(n, -LN2_LOW, _fma(n, -LN2_HIGH, x))
    total = np.full_like(x, EXP_TERMS[0])
    for term in EXP_TERMS[1:]:
        total = fma_float32(total, r, np.full_like(x, term))
    total = fma_float32(total, r * r, r) + np.float32(1)
    power = (n.astype(np.int32) + EXPONENT_BIAS) << MANTISSA_BITS
    scaled: NDArray[np.float32] = total * power.view(np.float32)
    return scaled


def _fma(a: NDArray[np.float32], b: float, c: NDArray[np.float32]) -> NDArray[np.float32]:
    return fma_float32(a, np.full_like(a, b), c)
