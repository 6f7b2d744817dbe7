"""Resize images: every output pixel mixes up to two rows and two columns of the input."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.pool import rescale
from octavo.targets.ops.requantize import Requantize, fma_float32

Arrays = Mapping[str, NDArray[Any]]
NEAREST, LINEAR = "nearest", "linear"
WEIGHT_BITS = 11  # an integer weight of 2**11 is one; 2 * 11 + 9 bits fit 32


@dataclass(frozen=True, kw_only=True)
class Resize:
    """Static part.

    Attributes:
        batch, in_h, in_w, channels: Input size, NHWC.
        out_h, out_w: Output size.
        kind: "nearest", which copies, or "linear".
        dtype: "uint8", "int8" or "float32"; nearest takes any type.
        requantize: Epilogue of linear integers, without residual; else None.
    """

    batch: int
    in_h: int
    in_w: int
    channels: int
    out_h: int
    out_w: int
    kind: str = NEAREST
    dtype: str = "uint8"
    requantize: Requantize | None = None

    @property
    def has_integer_weights(self) -> bool:
        """Whether weights are integers of ``WEIGHT_BITS`` fractional bits."""
        epilogue = self.requantize
        return (
            epilogue is not None and epilogue.mode == "dyadic" and epilogue.dtype != "float32"
        )

    @property
    def out_dtype(self) -> str:
        """Type of the output."""
        return self.dtype if self.requantize is None else self.requantize.dtype


def reference(op: Resize, arrays: Arrays) -> NDArray[Any]:
    """Compute the operation.

    Linear, with pixels (less the zero point) p00, p01 of the first row and p10, p11 of the
    second, column weights c0, c1 and row weights r0, r1: float32 computes
    fma(fma(p11, c1, p10 * c0), r1, fma(p01, c1, p00 * c0) * r0) and multiplies; dyadic sums
    the pixels times c * r in int32, and multiplies.

    Args:
        op: The operation.
        arrays: "x" (N, H, W, C); "row_index" (out_h, 2) and "col_index" (out_w, 2) int32, of
            which nearest uses the first; for linear "row_weight" and "col_weight" of the same
            shapes, float32, or int32 that sum to 2**11; "zero_point" (1,) int32 and the
            epilogue's constants: "multiplier" (1,), or "significand" and "shift" (1,), whose
            value is for weights of 1 (the 2**-22 of the integer weights is in the shift);
            "params", "table".

    Returns:
        (N, out_h, out_w, C) of the output type.
    """
    x = arrays["x"].reshape(op.batch, op.in_h, op.in_w, op.channels)
    rows, columns = arrays["row_index"], arrays["col_index"]
    if op.kind == NEAREST:
        y: NDArray[Any] = x[:, rows[:, 0]][:, :, columns[:, 0]]
        return y
    wide: Any = np.float32 if op.dtype == "float32" else np.int32
    zero_point = wide(0 if op.dtype == "float32" else arrays["zero_point"].reshape(-1)[0])
    pixels = [
        [x[:, rows[:, i]][:, :, columns[:, j]].astype(wide) - zero_point for j in (0, 1)]
        for i in (0, 1)]
    r0, r1 = (arrays["row_weight"][:, i].reshape(-1, 1, 1) for i in (0, 1))
    c0, c1 = (arrays["col_weight"][:, i].reshape(-1, 1) for i in (0, 1))
    if op.has_integer_weights:
        acc = sum(
            pixels[i][j] * (r * c).astype(np.int32)
            for i, r in enumerate((r0, r1)) for j, c in enumerate((c0, c1)))
    else:
        mixed = [_mix(first, second, c0, c1) for first, second in pixels]
        acc = _mix(mixed[0], mixed[1], r0, r1)
    if op.requantize is None:
        return np.asarray(acc)
    return rescale(op.requantize, np.asarray(acc), arrays, (-1,))


def _mix(
    a: NDArray[Any], b: NDArray[Any], weight_a: NDArray[Any], weight_b: NDArray[Any]
) -> NDArray[np.float32]:
    """fma(b, weight_b, a * weight_a)."""
    left, right = a.astype(np.float32), b.astype(np.float32)
    weights = np.broadcast_to(weight_b.astype(np.float32), right.shape)
    return fma_float32(right, weights, left * weight_a.astype(np.float32))
