"""Layer normalization of float32 rows, over the last axis.

Between two integer products of a transformer the sum that is normalized stays in float32: it
has outliers in few channels, and 8 bits for all of them would lose the others. What the next
product reads is rounded on the way out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.requantize import fma_float32
from octavo.targets.ops.rounding import round_real

Arrays = Mapping[str, NDArray[Any]]

SUM_LANES = 16  # partial sums of a row, on registers of any width


@dataclass(frozen=True)
class FloatLayerNorm:
    """Static part of gamma (x - mean) / sqrt(variance + epsilon) + beta.

    Attributes:
        rows: Product of the axes before the normalized ones.
        extent: Product of the normalized axes, n.
        has_float: The float32 result is an output, the first.
        quantized: Type of the rounded output, "uint8" or "int8"; None for none.
    """

    rows: int
    extent: int
    has_float: bool = True
    quantized: str | None = None

    def __post_init__(self) -> None:
        if not self.has_float and self.quantized is None:
            raise ValueError("a layer normalization without an output")

    @property
    def elements(self) -> int:
        """Elements of the tensor."""
        return self.rows * self.extent


def reference(op: FloatLayerNorm, arrays: Arrays) -> NDArray[np.float32]:
    """Compute the normalization: every operation in float32, rounded once, in this order.

        mean = sum(x) / n
        centred = x - mean
        variance = sum(centred * centred) / n, products fused with the additions
        ratio = 1 / sqrt(variance + epsilon)
        y = fma(centred * ratio, gain, offset)

    A sum has ``SUM_LANES`` parts: part l starts from 0 and takes the elements l, l + 16,
    l + 32, ... one after the other. Then part l takes part l + 8 for l < 8, and so on with 4,
    2 and 1. So the bits of the result do not depend on the width of a target's registers.

    Args:
        op: The operation.
        arrays: "x", and float32 "gain" and "offset" (extent,) and "epsilon" (1,).

    Returns:
        (rows, extent).
    """
    return _scaled(_normal(op, arrays), arrays["gain"], arrays["offset"])


def quantized_reference(op: FloatLayerNorm, arrays: Arrays) -> NDArray[np.integer]:
    """Compute the rounded output: as ``reference`` in output steps, then rounded half to even.

    Args:
        op: The operation.
        arrays: As of ``reference``, and float32 "step_gain" and "step_offset" (extent,), which
            give the result in output steps, and "params" (4,) int32, see
            ``octavo.targets.ops.requantize``.

    Returns:
        (rows, extent) of the type that ``op.quantized`` names.
    """
    steps = _scaled(_normal(op, arrays), arrays["step_gain"], arrays["step_offset"])
    return round_real(steps, arrays["params"]).astype(op.quantized)


def _normal(op: FloatLayerNorm, arrays: Arrays) -> NDArray[np.float32]:
    x = arrays["x"].reshape(op.rows, op.extent).astype(np.float32)
    count = np.float32(op.extent)
    mean = _sum(x, lambda total, value: total + value) / count
    centred = x - mean[:, None]
    variance = _sum(centred, lambda total, value: fma_float32(value, value, total)) / count
    ratio = np.float32(1.0) / np.sqrt(variance + arrays["epsilon"].astype(np.float32))
    normal: NDArray[np.float32] = centred * ratio[:, None]
    return normal


def _scaled(
    normal: NDArray[np.float32], gain: NDArray[Any], offset: NDArray[Any]
) -> NDArray[np.float32]:
    return fma_float32(normal, np.broadcast_to(gain.astype(np.float32), normal.shape), offset)


def _sum(
    values: NDArray[np.float32],
    add: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Add along rows; ``add`` makes the next partial sums of the last and of elements."""
    parts = np.zeros((len(values), SUM_LANES), np.float32)
    for start in range(0, values.shape[1], SUM_LANES):
        some = values[:, start : start + SUM_LANES]
        parts[:, : some.shape[1]] = add(parts[:, : some.shape[1]], some)
    while parts.shape[1] > 1:
        half = parts.shape[1] // 2
        parts = parts[:, :half] + parts[:, half:]
    return parts[:, 0]
