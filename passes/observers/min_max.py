"""The extremes of all samples, and their moving average."""

import math

import numpy as np
from numpy.typing import NDArray

from octavo.passes.observers.base import finite_extremes

_INFINITE = (-math.inf, math.inf)


class MinMaxObserver:
    """Smallest and largest element of all samples."""

    def __init__(self) -> None:
        self._low, self._high = math.inf, -math.inf

    def observe(self, x: NDArray[np.float32]) -> None:
        """Take one sample of the tensor."""
        low, high = finite_extremes(x) or _INFINITE
        self._low, self._high = min(self._low, low), max(self._high, high)

    def range(self) -> tuple[float, float]:
        """``(low, high)`` over everything observed."""
        return self._low, self._high


class MovingAverageObserver:
    """Exponential moving average of each sample's extremes.

    Source: Krishnamoorthi 2018, 3.1.1 (moving averages of minimum and maximum).
    """

    def __init__(self, momentum: float = 0.9) -> None:
        """Start without a history.

        Args:
            momentum: Weight of the past, 0..1; the first sample is taken whole.
        """
        self._momentum = momentum
        self._range: tuple[float, float] | None = None

    def observe(self, x: NDArray[np.float32]) -> None:
        """Take one sample of the tensor."""
        low, high = finite_extremes(x) or _INFINITE
        if self._range is None:
            self._range = low, high
            return
        keep, new = self._momentum, 1.0 - self._momentum
        self._range = keep * self._range[0] + new * low, keep * self._range[1] + new * high

    def range(self) -> tuple[float, float]:
        """The averaged ``(low, high)``."""
        return self._range or (math.inf, -math.inf)
