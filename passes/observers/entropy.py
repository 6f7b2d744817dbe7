"""The range that keeps the most information: least Kullback-Leibler divergence.

Source: Migacz, "8-bit inference with TensorRT", GTC 2017; here on two-sided ranges.
"""

import numpy as np
from numpy.typing import NDArray

from octavo.passes.observers.clipping_search import ClippingSearch

_NUM_LEVELS = 128  # several histogram bins for each level, as the source has it
_SMOOTHING = 1e-4  # share of probability that an empty level keeps


class EntropyObserver(ClippingSearch):
    """Tries ranges; keeps the one whose rounded distribution is nearest to the clipped."""

    def relevant(
        self, edges: NDArray[np.float64], counts: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """All, but zeros of a Relu: they say nothing of the rest and would dominate it."""
        counts = counts.copy()
        holds_zero = (edges[:-1] <= 0.0) & (edges[1:] >= 0.0)
        counts[holds_zero] = np.minimum(counts[holds_zero], counts[~holds_zero].max(initial=1))
        return counts

    def loss(
        self, edges: NDArray[np.float64], counts: NDArray[np.int64], low: float, high: float
    ) -> float:
        """``divergence``."""
        return divergence(edges, counts, low, high)


def divergence(
    edges: NDArray[np.float64], counts: NDArray[np.int64], low: float, high: float
) -> float:
    """KL(P || Q) of a range.

    P is the histogram with what lies outside moved into the outermost bins; Q is the inside
    alone, merged to levels and spread back over the bins that are not empty.

    Args:
        edges: (B + 1,) of a histogram.
        counts: (B,).
        low: Smallest value represented.
        high: Largest value represented.
    """
    centers = (edges[:-1] + edges[1:]) / 2.0
    inside = (centers >= low) & (centers <= high)
    if not inside.any():
        return np.inf
    reference = counts[inside].astype(np.float64)
    kept = reference.copy()
    reference[0] += counts[centers < low].sum()
    reference[-1] += counts[centers > high].sum()
    positions = (centers[inside] - low) / (high - low) * _NUM_LEVELS
    level = np.minimum(positions.astype(np.int64), _NUM_LEVELS - 1)
    occupied = reference > 0
    mass = np.bincount(level, weights=kept, minlength=_NUM_LEVELS)
    members = np.bincount(level, weights=occupied, minlength=_NUM_LEVELS)
    spread = np.where(occupied, mass[level] / np.maximum(members[level], 1.0), 0.0)
    p = reference[occupied] / reference.sum()
    q = spread[occupied] / max(spread.sum(), 1e-30)
    q = np.maximum(q, _SMOOTHING / p.size)
    return float((p * np.log(p / q)).sum())
