"""The range that serves nodes of every degree: hubs do not set the scale of everyone.

Sums over edges grow with their number, so the largest values of a tensor belong to the few
nodes with the most edges, and a range that holds them leaves a handful of integers to all
others. Here each class of degrees has a histogram of its own; a range costs a class what it
takes from it in proportion to the class's own energy; classes count by their nodes.

Nodes of the highest degrees can be protected: their values are never outside the range.

Source: Tailor et al., "Degree-Quant", arXiv:2008.05000, for ranges without the rarest values
and the protection of high degrees, there at random during training.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from octavo.passes.observers.histogram import Histogram
from octavo.passes.observers.mse import squared_error

# Shares of the extremes that are tried: four for each halving, down to 1/256.
_SHARES = tuple(2.0 ** (-step / 4) for step in range(33))

Bins = tuple[NDArray[np.float64], NDArray[np.int64]]


class DegreeObserver:
    """Ranges of a tensor that has nodes along its first axis."""

    def __init__(self) -> None:
        """Start empty."""
        self._classes: dict[int, Histogram] = {}
        self._nodes: dict[int, int] = {}
        self._energy: dict[int, float] = {}

    def observe(self, x: NDArray[np.float32], degrees: NDArray[np.int64]) -> None:
        """Take one sample of the tensor.

        Args:
            x: (nodes, ...), at least one element for each node.
            degrees: (nodes,) edges that end at each node, at least 0.
        """
        # 0, 1, 2 to 3, 4 to 7, ...: bit_length of the degree.
        kinds = np.frexp(degrees.astype(np.float64))[1]
        for kind in np.unique(kinds):
            rows = x[kinds == kind]
            self._classes.setdefault(int(kind), Histogram()).add(rows)
            self._nodes[int(kind)] = self._nodes.get(int(kind), 0) + len(rows)
            energy = float(np.square(rows, dtype=np.float64).sum())
            self._energy[int(kind)] = self._energy.get(int(kind), 0.0) + energy

    def range(self, protected: float = 0.0) -> tuple[float, float]:
        """The range that costs the classes least.

        Args:
            protected: Share of nodes, those of the highest degrees, whose values stay inside;
                0 to 1. Whole classes are protected, the one that reaches the share included.

        Returns:
            ``(low, high)``; infinite where an element was not finite.
        """
        histograms = list(self._classes.values())
        if not all(histogram.is_finite for histogram in histograms):
            return -np.inf, np.inf
        low = min(0.0, *(histogram.low for histogram in histograms))
        high = max(0.0, *(histogram.high for histogram in histograms))
        inside = self._protected_range(protected)
        bins = {kind: histogram.bins() for kind, histogram in self._classes.items()}
        losses: dict[tuple[float, float], float] = {}

        def best(candidates: list[tuple[float, float]]) -> tuple[float, float]:
            tried = [(min(a, inside[0]), max(b, inside[1])) for a, b in candidates]
            for one in tried:
                if one not in losses:
                    losses[one] = self._loss(bins, *one) if one[0] < one[1] else np.inf
            return min(tried, key=losses.__getitem__)

        # Both ends together, and then each end on its own.
        low, high = best([(low * share, high * share) for share in _SHARES])
        low, high = best([(low * share, high) for share in _SHARES])
        low, high = best([(low, high * share) for share in _SHARES])
        return float(low), float(high)

    def _protected_range(self, share: float) -> tuple[float, float]:
        """Extremes of the classes of highest degrees that make up a share of the nodes."""
        total = sum(self._nodes.values())
        low, high, seen = 0.0, 0.0, 0
        for kind in sorted(self._classes, reverse=True):
            if seen >= share * total:
                break
            seen += self._nodes[kind]
            low = min(low, self._classes[kind].low)
            high = max(high, self._classes[kind].high)
        return low, high

    def _loss(self, bins: Mapping[int, Bins], low: float, high: float) -> float:
        """Error over energy of each class, in the mean of the nodes."""
        total = sum(self._nodes.values())
        loss = 0.0
        for kind, energy in self._energy.items():
            if energy > 0.0:
                error = squared_error(*bins[kind], low, high)
                loss += self._nodes[kind] / total * error / energy
        return loss
