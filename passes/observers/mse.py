"""The range with the smallest mean squared error after rounding to 256 levels."""

import numpy as np
from numpy.typing import NDArray

from octavo.passes.observers.clipping_search import ClippingSearch

LEVELS = 255  # steps between 256 integers


class MseObserver(ClippingSearch):
    """Tries ranges on a histogram and keeps the one with the least squared error."""

    def loss(
        self, edges: NDArray[np.float64], counts: NDArray[np.int64], low: float, high: float
    ) -> float:
        """``squared_error``."""
        return squared_error(edges, counts, low, high)


def squared_error(
    edges: NDArray[np.float64], counts: NDArray[np.int64], low: float, high: float
) -> float:
    """Expected squared rounding and clipping error of a range, times the number of elements.

    Elements are taken as spread evenly inside their bin. Rounding costs step**2 / 12; clipping
    costs the squared distance to the range.

    Args:
        edges: (B + 1,) of a histogram.
        counts: (B,).
        low: Smallest value represented, at most 0.
        high: Largest value represented, at least 0.
    """
    step = (high - low) / LEVELS
    start, stop = edges[:-1], edges[1:]
    # Mean of (x - c)^2 over a bin part is ((stop - c)^3 - (start - c)^3) / 3 / width.
    beyond = np.maximum(stop - high, 0.0) ** 3 - np.maximum(start - high, 0.0) ** 3
    beyond += np.maximum(low - start, 0.0) ** 3 - np.maximum(low - stop, 0.0) ** 3
    width = stop - start
    points = width <= 0.0  # all elements equal: the bin is one point
    clipped = np.where(points, 0.0, beyond / (3.0 * np.where(points, 1.0, width)))
    distance = np.maximum(start - high, 0.0) + np.maximum(low - start, 0.0)
    clipped = np.where(points, distance**2, clipped)
    inside = (start < high) & (stop > low)
    rounding = np.where(inside, step**2 / 12.0, 0.0)
    return float((counts * (clipped + rounding)).sum())
