"""Layer normalization of float32 rows, over the last axis.

Between two integer products of a transformer the sum that is normalized stays in float32: it
has outliers in few channels, and 8 bits for all of them would lose the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class FloatLayerNorm:
    """Static part of gamma (x - mean) / sqrt(variance + epsilon) + beta.

    Attributes:
        rows: Product of the axes before the normalized ones.
        extent: Product of the normalized axes, n.
    """

    rows: int
    extent: int

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
    x = arrays["x"].reshape(op.rows, op.extent).astype(np.float64)
    centred = x - x.mean(axis=1, keepdims=True)
    variance = np.square(centred).mean(axis=1, keepdims=True) + float(arrays["epsilon"][0])
    result: NDArray[np.float64] = (
        centred / np.sqrt(variance) * arrays["gain"].astype(np.float64) + arrays["offset"])
    return result
