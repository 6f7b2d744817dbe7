"""The range that leaves out the rarest values on either side."""

import numpy as np
from numpy.typing import NDArray

from octavo.passes.observers.histogram import Histogram


class PercentileObserver:
    """Quantiles ``1 - p`` and ``p`` of all elements of all samples."""

    def __init__(self, percentile: float = 99.99) -> None:
        """Start empty.

        Args:
            percentile: p in percent, 50..100.
        """
        if not 50.0 < percentile <= 100.0:
            raise ValueError(f"percentile {percentile}; allowed: above 50, up to 100")
        self._tail = 1.0 - percentile / 100.0
        self._histogram = Histogram()

    def observe(self, x: NDArray[np.float32]) -> None:
        """Take one sample of the tensor."""
        self._histogram.add(x)

    def range(self) -> tuple[float, float]:
        """``(low, high)``, interpolated inside bins."""
        if not self._histogram.is_finite:
            return -np.inf, np.inf
        edges, counts = self._histogram.bins()
        if counts.size == 0:
            return np.inf, -np.inf
        cumulative = np.concatenate(([0.0], np.cumsum(counts))) / counts.sum()
        return (
            float(np.interp(self._tail, cumulative, edges)),
            float(np.interp(1.0 - self._tail, cumulative, edges)),
        )
