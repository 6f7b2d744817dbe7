"""Observers that try several ranges on a histogram and keep the best."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from octavo.passes.observers.histogram import Histogram

_FRACTIONS: NDArray[np.float64] = np.linspace(0.2, 1.0, 41)


class ClippingSearch(ABC):
    """Keeps the candidate range with the least loss."""

    def __init__(self) -> None:
        self._histogram = Histogram()

    def observe(self, x: NDArray[np.float32]) -> None:
        """Take one sample of the tensor."""
        self._histogram.add(x)

    def range(self) -> tuple[float, float]:
        """The best ``(low, high)``; infinite where an element was not finite."""
        if not self._histogram.is_finite:
            return -np.inf, np.inf
        edges, counts = self._histogram.bins()
        low, high = self._histogram.low, self._histogram.high
        if counts.size == 0 or max(-low, high) == 0.0:
            return low, high
        counts = self.relevant(edges, counts)
        candidates = list(candidate_ranges(low, high))
        losses = [self.loss(edges, counts, *candidate) for candidate in candidates]
        low, high = candidates[int(np.argmin(losses))]
        return float(low), float(high)

    def relevant(
        self, edges: NDArray[np.float64], counts: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The elements that count, (B,): all of them, unless a subclass says otherwise."""
        del edges
        return counts

    @abstractmethod
    def loss(
        self, edges: NDArray[np.float64], counts: NDArray[np.int64], low: float, high: float
    ) -> float:
        """What the range ``[low, high]`` costs the elements of a histogram.

        Args:
            edges: (B + 1,) of the histogram.
            counts: (B,).
            low: Smallest value represented, at most 0.
            high: Largest value represented, at least 0.
        """


def candidate_ranges(low: float, high: float) -> Iterator[tuple[float, float]]:
    """Ranges inside ``[low, high]`` that contain 0: the whole, each side cut, both cut.

    Args:
        low: Smallest element, widened to 0.
        high: Largest element, widened to 0.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    for fraction in _FRACTIONS[::-1]:
        yield low * fraction, high * fraction
    if low < 0.0 < high:
        for fraction in _FRACTIONS[-2::-1]:
            yield low, high * fraction
            yield low * fraction, high
