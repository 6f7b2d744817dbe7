"""Float convolution and matrix product whose products are of bfloat16 numbers.

Tensors are float32. Input and weights are rounded to bfloat16, the upper half of a float32, so
that every product is exact in float32; sums are float32. Instructions take two neighbouring
input channels at a time: bias first, then tap after tap, pair after pair. An odd number of
channels ends with a product of zeros. Numbers below 2**-126 in magnitude count as zeros in
products and in every sum. How a pair is added differs:

- "fused": first the second product, then the first one, each with one rounding to nearest.
- "to_odd": the sum of both products is added. Both additions round to odd: towards zero, and
  a result that is not exact gets an odd last bit.

Sources: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, VDPBF16PS and
VCVTNE2PS2BF16: rounding half to even, denormals are zeros, MXCSR has no say. Arm Architecture
Reference Manual for A-profile (DDI 0487), BFDOT, BFCVTN, and BFDotAdd and BFRound of its
pseudocode, without FEAT_EBF16.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.conv import Conv, pad_image
from octavo.targets.ops.requantize import fma_float32

Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float32]

FUSED, TO_ODD = "fused", "to_odd"
EXPONENT_BITS = 0x7F800000
SIGN_BIT = 0x80000000
QUIET_BIT = 0x0040  # of a bfloat16 that is no number
HALF_WORD = 16
PAIR = 2


@dataclass(frozen=True)
class Bfloat16Conv(Conv):
    """Static part of a float convolution with products of bfloat16 numbers.

    A record of its own: kernels of a ``Conv`` promise other bits.

    Attributes:
        sums: How pairs are added: "fused" or "to_odd".
    """

    dtype: str = "float32"
    sums: str = FUSED

    def __post_init__(self) -> None:
        if self.dtype != "float32":
            raise ValueError(f"{self.dtype} tensors: only float32 is rounded to bfloat16")
        if self.sums not in (FUSED, TO_ODD):
            raise ValueError(f"sums {self.sums!r}; allowed: {FUSED}, {TO_ODD}")


def bfloat16_conv(op: Conv, sums: str = FUSED) -> Bfloat16Conv:
    """The same float convolution with products of bfloat16 numbers.

    Raises:
        ValueError: ``op`` is not of float32.
    """
    same = {field.name: getattr(op, field.name) for field in fields(Conv)}
    return Bfloat16Conv(**same, sums=sums)


def round_bfloat16(values: Floats, sums: str = FUSED) -> NDArray[np.uint16]:
    """Round to nearest, half to even.

    Args:
        values: float32, any shape.
        sums: "fused": denormals become zeros of their sign, whatever they round to.

    Returns:
        The bits of bfloat16 numbers, same shape.
    """
    flushed = flush(values) if sums == FUSED else np.ascontiguousarray(values, np.float32)
    bits = flushed.view(np.uint32)
    last = (bits >> HALF_WORD) & 1
    rounded = (bits.astype(np.uint64) + 0x7FFF + last) >> HALF_WORD
    quiet = (bits >> HALF_WORD) | QUIET_BIT
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)


def widen_bfloat16(values: NDArray[np.uint16]) -> Floats:
    """The float32 numbers that bits of bfloat16 stand for."""
    return (values.astype(np.uint32) << HALF_WORD).view(np.float32)


def flush(values: Floats) -> Floats:
    """Turn numbers below 2**-126 in magnitude into zeros of their sign."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    is_tiny = (bits & EXPONENT_BITS) == 0
    return np.where(is_tiny, bits & np.uint32(SIGN_BIT), bits).view(np.float32)


def add_pairs(
    total: Floats, a: NDArray[np.uint16], b: NDArray[np.uint16], sums: str = FUSED
) -> Floats:
    """Add two products of bfloat16 numbers.

    Args:
        total: (...), sums so far.
        a: (..., 2), bits of bfloat16.
        b: As ``a``.
        sums: "fused" or "to_odd".
    """
    total = flush(total)
    factors = [tuple(flush(widen_bfloat16(x[..., k])) for x in (a, b)) for k in range(PAIR)]
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # infinite sums
        if sums == TO_ODD:
            first, second = (flush(left * right) for left, right in factors)
            return add_to_odd(total, add_to_odd(first, second))
        for left, right in reversed(factors):
            total = flush(fma_float32(left, right, total))
    return total


def add_to_odd(a: Floats, b: Floats) -> Floats:
    """Add with rounding to odd; results below 2**-126 in magnitude become zeros."""
    wide, addend = a.astype(np.float64), b.astype(np.float64)
    total = wide + addend
    back = total - wide
    error = (wide - (total - back)) + (addend - back)
    is_even = (total.view(np.int64) & 1) == 0
    toward = np.where(error > 0, np.inf, -np.inf)
    # To odd in float64 first: then nothing that is lost is forgotten.
    exact = np.isfinite(total) & (error != 0) & is_even
    total = np.where(exact, np.nextafter(total, toward), total)
    with np.errstate(over="ignore"):
        nearest = total.astype(np.float32)
    is_beyond = np.abs(nearest.astype(np.float64)) > np.abs(total)
    is_beyond &= np.abs(total) < 2.0**128  # else it is infinite
    cut = np.where(is_beyond, np.nextafter(nearest, np.float32(0)), nearest)
    is_exact = (cut.astype(np.float64) == total) | np.isinf(cut)
    odd = np.where(is_exact, cut.view(np.uint32), cut.view(np.uint32) | np.uint32(1))
    zero = np.copysign(0, total).astype(np.float32)
    return np.where(np.abs(total) < 2.0**-126, zero, odd.view(np.float32))


def reference(op: Bfloat16Conv, arrays: Arrays) -> Floats:
    """Compute the convolution; equal to kernels bit for bit where nothing is NaN.

    Args:
        op: The convolution.
        arrays: "x", "weight" (C_out, kH, kW, C_in / groups), "bias" (C_out,), "limits" (2,)
            and, if there is one, "residual" (N, out_h, out_w, C_out); all float32.

    Returns:
        (N, out_h, out_w, C_out) float32.
    """
    x = arrays["x"].reshape(op.batch, op.in_h, op.in_w, op.in_c)
    padded = round_bfloat16(pad_image(op, x), op.sums)
    weight = round_bfloat16(arrays["weight"], op.sums)
    total = np.empty((op.batch, op.out_h, op.out_w, op.out_c), np.float32)
    total[...] = arrays["bias"]
    for kh, kw in product(range(op.kernel_h), range(op.kernel_w)):
        top, left = kh * op.dilation_h, kw * op.dilation_w
        taps = padded[:, top : top + op.stride_h * (op.out_h - 1) + 1 : op.stride_h,
                      left : left + op.stride_w * (op.out_w - 1) + 1 : op.stride_w]
        for group in range(op.groups):
            ins = slice(group * op.group_in, (group + 1) * op.group_in)
            outs = slice(group * op.group_out, (group + 1) * op.group_out)
            rows = _in_pairs(taps[..., ins])[..., None, :, :]
            columns = _in_pairs(weight[outs, kh, kw])
            for pair in range(rows.shape[-2]):
                total[..., outs] = add_pairs(
                    total[..., outs], rows[..., pair, :], columns[:, pair], op.sums)
    if op.residual:
        total = total + arrays["residual"].reshape(total.shape)
    low, high = arrays["limits"]
    return np.asarray(np.clip(total, low, high), np.float32)


def _in_pairs(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Split the last axis into pairs, the last one filled up with a zero."""
    channels = values.shape[-1]
    ends = [(0, 0)] * (values.ndim - 1) + [(0, channels % PAIR)]
    return np.pad(values, ends).reshape(*values.shape[:-1], -1, PAIR)
