"""Candidate ranges for observers that try several and keep the best."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_FRACTIONS: NDArray[np.float64] = np.linspace(0.2, 1.0, 41)


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
