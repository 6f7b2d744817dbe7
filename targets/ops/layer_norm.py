"""Layer normalization, quantized in and quantized out, over the last axis.

With c = x - zero_point, s = sum c and q = sum c * c, the normalized value is
(n c - s) / sqrt(n**2 (variance + epsilon)), where n**2 variance = n q - s**2: integers, exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.requantize import (
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
    fma_float32,
)

Arrays = Mapping[str, NDArray[Any]]

MAX_EXTENT = 33025  # sum of squares below 2**31, n c - s below 2**24: exact in float32
MIN_VARIANCE = np.float32(2.0**-64)  # below any variance but 0: a constant row becomes beta

# Bits behind the point in the dyadic mode.
SPREAD_BITS = 12  # of n**2 (variance + epsilon), which then stays below 2**61
NORMAL_BITS = 20  # of the normalized value, which is at most sqrt(n) < 2**8
RECIPROCAL_BITS = 61
ROOT_SHIFT = RECIPROCAL_BITS - SPREAD_BITS // 2 - NORMAL_BITS
MAX_EPSILON_BITS = 60
GAIN_BITS = 30
OFFSET_BITS = 61
NORMALIZE_STEPS = (16, 8, 4, 2, 1)  # pairs of bits


@dataclass(frozen=True)
class LayerNorm:
    """Static part of gamma (x - mean) / sqrt(variance + epsilon) + beta.

    Attributes:
        rows: Product of the axes before the normalized ones.
        extent: Product of the normalized axes, n.
        dtype: Input type, "uint8" or "int8".
        out_dtype: Output type, "uint8" or "int8".
        mode: "float32" or "dyadic".
    """

    rows: int
    extent: int
    dtype: str = "uint8"
    out_dtype: str = "uint8"
    mode: str = "float32"

    @property
    def elements(self) -> int:
        """Elements of the tensor."""
        return self.rows * self.extent


def layer_norm_arrays(
    op: LayerNorm,
    *,
    scale_x: float,
    zero_point_x: int,
    gamma: NDArray[Any],
    beta: NDArray[Any] | None,
    epsilon: float,
    scale_y: float,
    params: NDArray[np.int32],
) -> dict[str, NDArray[Any]]:
    """Compute the constants of a layer normalization.

    Args:
        op: The operation.
        scale_x: Real value of one input step, > 0.
        zero_point_x: Input that stands for 0.
        gamma: (extent,) real factors.
        beta: (extent,) real offsets, or None.
        epsilon: Added to the variance, >= 0.
        scale_y: Real value of one output step, > 0.
        params: (4,) int32, see ``octavo.targets.ops.requantize``.

    Returns:
        "zero_point" (1,) int32, "params" and, for float32, "gain" and "offset" (extent,)
        and "epsilon" (1,), float32, in output steps and squared input steps; for dyadic,
        "gain" (extent,) int32, "offset" (extent,) int64, "shift" and "epsilon" (1,) int64.
    """
    gain = np.asarray(gamma, np.float64).reshape(-1) / scale_y
    offset = np.zeros(op.extent) if beta is None else np.asarray(beta, np.float64).reshape(-1)
    offset = offset / scale_y
    steps = epsilon / scale_x**2
    common = {"zero_point": np.array([zero_point_x], np.int32), "params": params}
    if op.mode == "float32":
        return common | {
            "gain": gain.astype(np.float32),
            "offset": offset.astype(np.float32),
            "epsilon": np.array([steps], np.float32),
        }
    fraction_bits = min(
        GAIN_BITS - int(np.frexp(np.abs(gain).max())[1]),
        OFFSET_BITS - NORMAL_BITS - int(np.frexp(np.abs(offset).max())[1]),
        62 - NORMAL_BITS,
    )
    fraction_bits = max(fraction_bits, 1 - NORMAL_BITS)
    fixed = min(steps * op.extent**2 * 2.0**SPREAD_BITS, 2.0**MAX_EPSILON_BITS)
    limit = 2.0**GAIN_BITS
    return common | {
        "gain": np.rint(np.clip(gain * 2.0**fraction_bits, -limit, limit)).astype(np.int32),
        "offset": np.rint(offset * 2.0 ** (fraction_bits + NORMAL_BITS)).astype(np.int64),
        "shift": np.array([fraction_bits + NORMAL_BITS], np.int64),
        "epsilon": np.array([round(fixed)], np.int64),
    }


def reference(op: LayerNorm, arrays: Arrays) -> NDArray[Any]:
    """Compute the normalization.

    float32, every operation rounded to float32 once, in this order:
        variance = max(fma(float32(n q - s**2), float32(1 / n**2), epsilon), 2**-64)
        ratio = float32(1 / n) / sqrt(variance)
        normal = float32(n c - s) * ratio
        y = rint(clamp(fma(normal, gain, offset), qmin - zero, qmax - zero)) + zero
    dyadic, in int64, shifts arithmetic, ``>>`` after adding half:
        spread = max(((n q - s**2) << 12) + epsilon, 1)
        e is the largest for which spread << 2e is below 2**62
        ratio = 2**61 // isqrt(spread << 2e)
        normal = (n c - s) * ratio >> (35 - e), 20 bits behind the point
        y = clamp(((normal * gain + offset) >> shift) + zero, qmin, qmax)

    Args:
        op: The operation.
        arrays: "x" and the constants of ``layer_norm_arrays``.

    Returns:
        (rows, extent) of the output type.
    """
    n = op.extent
    centred = arrays["x"].reshape(op.rows, n).astype(np.int64) - int(arrays["zero_point"][0])
    total = centred.sum(axis=1, keepdims=True)
    spread = n * (centred * centred).sum(axis=1, keepdims=True) - total * total
    scaled = n * centred - total
    zero_point, low, high = (
        int(arrays["params"][slot]) for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
    if op.mode == "float32":
        variance = np.maximum(
            fma_float32(spread.astype(np.float32), inverse(n * n), arrays["epsilon"]),
            MIN_VARIANCE)
        ratio = inverse(n) / np.sqrt(variance)
        normal = scaled.astype(np.float32) * ratio
        gain, offset = (np.broadcast_to(arrays[k], normal.shape) for k in ("gain", "offset"))
        real = fma_float32(normal, gain, offset)
        limited = np.clip(real, np.float32(low - zero_point), np.float32(high - zero_point))
        rounded = np.rint(limited).astype(np.int64)
        return (rounded + zero_point).astype(op.out_dtype)
    spread = np.maximum((spread << SPREAD_BITS) + arrays["epsilon"], 1)
    exponent = np.zeros_like(spread)
    for step in NORMALIZE_STEPS:
        is_small = spread < np.int64(1) << (62 - 2 * step)
        spread = np.where(is_small, spread << (2 * step), spread)
        exponent = np.where(is_small, exponent + step, exponent)
    reciprocal = (np.int64(1) << RECIPROCAL_BITS) // integer_root(spread)
    fixed = _round_shift(scaled * reciprocal, ROOT_SHIFT - exponent)
    steps = _round_shift(fixed * arrays["gain"] + arrays["offset"], arrays["shift"])
    return np.clip(steps + zero_point, low, high).astype(op.out_dtype)


def inverse(n: int) -> NDArray[np.float32]:
    """1 / n, rounded once, (1,)."""
    return np.array([1.0 / n], np.float32)


def integer_root(value: NDArray[np.int64]) -> NDArray[np.int64]:
    """Largest integers whose squares are at most ``value``, in [2**60, 2**62)."""
    root = np.zeros_like(value)
    for bit in range(30, -1, -1):
        trial = root | np.int64(1 << bit)
        root = np.where(trial * trial <= value, trial, root)
    return root


def _round_shift(value: NDArray[np.int64], shift: NDArray[np.int64]) -> NDArray[np.int64]:
    return (value + (np.int64(1) << (shift - 1))) >> shift
