"""Softmax, quantized in and quantized out: one table for the exponential, one exact sum."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.requantize import (
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
    SIGNIFICAND_BITS,
    dyadic,
)

Arrays = Mapping[str, NDArray[Any]]

TABLE_ENTRIES = 256
MAX_TERM_BITS = 23  # a term is exact in float32
MAX_EXTENT = 1 << 22  # leaves 8 bits for the largest term
MAX_INVERSE_SHIFT = 31  # the shifts of the dyadic mode add up to 62


@dataclass(frozen=True)
class Softmax:
    """Static part of exp(x - max x) / sum exp(x - max x) over the middle axis.

    Attributes:
        rows: Product of the axes before the normalized one.
        extent: Size of the normalized axis.
        inner: Product of the axes behind it.
        dtype: Input type, "uint8" or "int8".
        out_dtype: Output type, "uint8" or "int8".
        mode: "float32" or "dyadic".
    """

    rows: int
    extent: int
    inner: int = 1
    dtype: str = "uint8"
    out_dtype: str = "uint8"
    mode: str = "float32"

    @property
    def elements(self) -> int:
        """Elements of the tensor."""
        return self.rows * self.extent * self.inner


def softmax_arrays(
    op: Softmax, scale_x: float, scale_y: float, params: NDArray[np.int32]
) -> dict[str, NDArray[Any]]:
    """Compute the constants of a softmax.

    Args:
        op: The operation; its extent is at most ``MAX_EXTENT``.
        scale_x: Real value of one input step, > 0.
        scale_y: Real value of one output step, in (0, 2].
        params: (4,) int32, see ``octavo.targets.ops.requantize``.

    Returns:
        "table" (256,) int32: rint(exp(-d * scale_x) * 2**k), where k is the largest up to 23
        for which ``extent`` terms stay below 2**31. "inverse" (1,) float32, 1 / scale_y, and
        the same as "significand" and "shift" (1,) int64. "params".

    Raises:
        ValueError: The extent or the output scale is too large.
    """
    if op.extent > MAX_EXTENT:
        raise ValueError(f"softmax over {op.extent} values; at most {MAX_EXTENT}")
    term_bits = min(MAX_TERM_BITS, (((1 << 31) - 1) // op.extent).bit_length() - 1)
    distance = np.arange(TABLE_ENTRIES, dtype=np.float64)
    significand, shift = dyadic(np.array([1.0 / scale_y]))
    if shift[0] > MAX_INVERSE_SHIFT:
        raise ValueError(f"softmax output scale {scale_y}; at most 2")
    return {
        "table": np.rint(np.exp(-distance * scale_x) * 2.0**term_bits).astype(np.int32),
        "inverse": np.array([1.0 / scale_y], np.float32),
        "significand": significand,
        "shift": shift,
        "params": params,
    }


def reference(op: Softmax, arrays: Arrays) -> NDArray[Any]:
    """Compute the softmax.

    With d = max x - x over the axis, t = table[d] and total = sum t (exact in int32):

    - float32: r = inverse / float32(total), one division for all terms; y = rint(clamp(
      float32(t) * r, qmin - zero_point, qmax - zero_point)) + zero_point, half to even.
    - dyadic: r = (significand * 2**31) // total; y = clamp(((t * r + 2**(shift + 30))
      >> (shift + 31)) + zero_point, qmin, qmax), in int64.

    Args:
        op: The operation.
        arrays: "x" and the constants of ``softmax_arrays``.

    Returns:
        (rows, extent, inner) of the output type.
    """
    x = arrays["x"].reshape(op.rows, op.extent, op.inner).astype(np.int32)
    terms = arrays["table"][x.max(axis=1, keepdims=True) - x]
    total = terms.sum(axis=1, keepdims=True, dtype=np.int32)
    zero_point, low, high = (
        int(arrays["params"][slot]) for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
    if op.mode == "float32":
        reciprocal = arrays["inverse"][0] / total.astype(np.float32)
        real = terms.astype(np.float32) * reciprocal
        limited = np.clip(real, np.float32(low - zero_point), np.float32(high - zero_point))
        y: NDArray[Any] = np.rint(limited).astype(np.int32) + zero_point
        return y.astype(op.out_dtype)
    shift = int(arrays["shift"][0]) + SIGNIFICAND_BITS
    ratio = (int(arrays["significand"][0]) << SIGNIFICAND_BITS) // total.astype(np.int64)
    rounded = (terms.astype(np.int64) * ratio + (1 << (shift - 1))) >> shift
    y = np.clip(rounded + zero_point, low, high)
    return y.astype(op.out_dtype)
