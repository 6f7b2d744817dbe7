"""A histogram whose range grows while samples arrive, in fixed memory.

Bins are ``[k * width, (k + 1) * width)`` for consecutive integers k, and width is a power of
two. A wider range doubles the width, which merges neighbouring bins exactly: no count is ever
split. So the result does not depend on the order of the samples, and one pass suffices.
"""

import math

import numpy as np
from numpy.typing import NDArray

from octavo.passes.observers.base import finite_extremes

NUM_BINS = 2048

_SMALLEST_EXPONENT = -126  # of the width; 2**126 is still a float32


class Histogram:
    """Counts of a tensor's elements.

    Attributes:
        low: Smallest element so far.
        high: Largest element so far.
        is_finite: False once infinity or NaN was seen; counting stops then.
    """

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.is_finite = True
        self._exponent = _SMALLEST_EXPONENT
        self._first = 0  # k of the first bin
        self._counts = np.zeros(NUM_BINS, np.int64)

    def add(self, x: NDArray[np.float32]) -> None:
        """Count every element of ``x``."""
        extremes = finite_extremes(x)
        if extremes is None or not self.is_finite:
            self.is_finite = False
            return
        self._cover(*extremes)
        # A product with a power of two is exact, so floor() puts each value into its bin.
        scaled = np.multiply(x.reshape(-1), np.float32(2.0**-self._exponent), dtype=np.float32)
        np.floor(scaled, out=scaled)
        bins = scaled.astype(np.int32)
        bins -= self._first
        self._counts += np.bincount(bins, minlength=NUM_BINS)

    def bins(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """``(edges, counts)`` of the bins between the first and the last that is not empty.

        Returns:
            edges (B + 1,), cut to ``low`` and ``high`` at the ends; counts (B,).
        """
        used = np.flatnonzero(self._counts)
        if used.size == 0:
            return np.zeros(1), np.zeros(0, np.int64)
        start, stop = int(used[0]), int(used[-1]) + 1
        width = 2.0**self._exponent
        edges = (self._first + np.arange(start, stop + 1, dtype=np.float64)) * width
        edges[0], edges[-1] = self.low, self.high
        return edges, self._counts[start:stop].copy()

    def _cover(self, low: float, high: float) -> None:
        low, high = min(low, self.low), max(high, self.high)
        if low == self.low and high == self.high:
            return
        exponent = self._exponent
        while not self._fits(low, high, exponent):
            exponent += 1
        first = math.floor(low * 2.0**-exponent)
        counts = np.zeros(NUM_BINS, np.int64)
        used = np.flatnonzero(self._counts)
        # Halving k, rounding down, is where a bin lies at twice the width.
        moved = ((used + self._first) >> (exponent - self._exponent)) - first
        np.add.at(counts, moved, self._counts[used])
        self.low, self.high = low, high
        self._exponent, self._first, self._counts = exponent, first, counts

    @staticmethod
    def _fits(low: float, high: float, exponent: int) -> bool:
        inverse = 2.0**-exponent
        first, last = math.floor(low * inverse), math.floor(high * inverse)
        # Bin numbers stay exact in float32.
        return last - first < NUM_BINS and max(abs(first), abs(last)) < 2**24
