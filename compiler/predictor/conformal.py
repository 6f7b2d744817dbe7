"""Intervals that hold for the next network, whatever the model behind them is worth.

Kernels of one network resemble each other, so they are not exchangeable with those of another
network; networks are. Every network therefore counts as much as any other, however many
kernels it has, and a new one may be worse than all that were seen.

Source: Lee, Barber and Willett 2023, "Distribution-free inference with hierarchical data"
(arXiv:2306.06342), section 3; scores divided by an estimate of their size are those of Lei et
al. 2018, "Distribution-Free Predictive Inference for Regression", section 5.2.
"""

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def grouped_quantile(scores: FloatArray, groups: NDArray[np.int64], level: float) -> float:
    """The score that a new group's scores stay below with a probability of ``level``.

    Args:
        scores: (n,) of what was left out of the fit that predicted it.
        groups: (n,) network of each.
        level: Probability, in (0, 1).

    Returns:
        A score; infinite where there are too few groups to tell, fewer than
        level / (1 - level).
    """
    _, places, counts = np.unique(groups, return_inverse=True, return_counts=True)
    shares = 1.0 / (counts[places] * (len(counts) + 1))  # the new group may be the worst
    order = np.argsort(scores)
    # Sums of shares that should be equal to the level may be a rounding error below it.
    place = int(np.searchsorted(np.cumsum(shares[order]) + 1e-12, level))
    return float(scores[order[place]]) if place < len(scores) else math.inf


def enough_groups(level: float) -> int:
    """How many groups a finite ``grouped_quantile`` takes."""
    return math.ceil(level / (1.0 - level) - 1e-9)
