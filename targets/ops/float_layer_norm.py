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

from octavo.targets.ops.requantize import PARAM_QMAX, PARAM_QMIN, PARAM_ZERO_POINT

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


def reference(op: FloatLayerNorm, arrays: Arrays) -> NDArray[np.float64]:
    """Compute the normalization in float64.

    A kernel adds in its own order: its mean is off by at most n 2**-24 mean|x|, so that
    rows whose mean is large beside their spread lose digits here as in every float32 kernel.

    Args:
        op: The operation.
        arrays: "x", and float32 "gain" and "offset" (extent,) and "epsilon" (1,).

    Returns:
        (rows, extent).
    """
    return _normal(op, arrays) * arrays["gain"].astype(np.float64) + arrays["offset"]


def quantized_reference(op: FloatLayerNorm, arrays: Arrays) -> NDArray[np.float64]:
    """Compute the rounded output before rounding: limited, zero point included.

    Args:
        op: The operation.
        arrays: As of ``reference``, and float32 "step_gain" and "step_offset" (extent,), which
            give the result in output steps, and "params" (4,) int32, see
            ``octavo.targets.ops.requantize``.

    Returns:
        (rows, extent); a kernel rounds half to even.
    """
    steps = _normal(op, arrays) * arrays["step_gain"].astype(np.float64)
    zero_point, low, high = (
        int(arrays["params"][slot]) for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
    return np.clip(steps + arrays["step_offset"] + zero_point, low, high)


def _normal(op: FloatLayerNorm, arrays: Arrays) -> NDArray[np.float64]:
    x = arrays["x"].reshape(op.rows, op.extent).astype(np.float64)
    centred = x - x.mean(axis=1, keepdims=True)
    variance = np.square(centred).mean(axis=1, keepdims=True) + float(arrays["epsilon"][0])
    normal: NDArray[np.float64] = centred / np.sqrt(variance)
    return normal
