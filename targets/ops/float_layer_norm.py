"""Layer normalization of float32 rows, over the last axis.

Between two integer products of a transformer the sum that is normalized stays in float32: it
has outliers in few channels, and 8 bits for all of them would lose the others. What the next
product reads is rounded on the way out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.float_sum import sum_rows
from octavo.targets.ops.requantize import fma_float32
from octavo.targets.ops.rounding import round_real

Arrays = Mapping[str, NDArray[Any]]


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

    Sums are those of ``octavo.targets.ops.float_sum``. A product would be fused with what is
    added to it on some targets, so the sums are divided, not multiplied by 1 / n.

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
    mean = sum_rows(x) / count
    centred = x - mean[:, None]
    variance = sum_rows(centred, lambda total, value: fma_float32(value, value, total)) / count
    ratio = np.float32(1.0) / np.sqrt(variance + arrays["epsilon"].astype(np.float32))
    normal: NDArray[np.float32] = centred * ratio[:, None]
    return normal


def _scaled(
    normal: NDArray[np.float32], gain: NDArray[Any], offset: NDArray[Any]
) -> NDArray[np.float32]:
    return fma_float32(normal, np.broadcast_to(gain.astype(np.float32), normal.shape), offset)
