"""Everything that a squared output error needs to know about samples, in bounded memory.

For y = W x + b the mean of ||y_float - y||^2 over positions is a quadratic function of W and
b, whose coefficients are the means of x x', y_float x', x, y_float and y_float^2. They are
added up one sample at a time: memory depends on the layer, not on the number of samples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DoubleArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Means over positions; G groups, O outputs and K columns of each.

    Attributes:
        gram: Of x x', (G, K, K).
        cross: Of y x', (G, O, K).
        mean_x: (G, K).
        mean_y: (G, O).
        power: Of y^2, (G, O).
    """

    gram: DoubleArray
    cross: DoubleArray
    mean_x: DoubleArray
    mean_y: DoubleArray
    power: DoubleArray

    def best_bias(self, weight: NDArray[np.floating]) -> DoubleArray:
        """The bias (G, O) of least squared error for a weight (G, O, K)."""
        return np.asarray(self.mean_y - np.einsum("gok,gk->go", weight, self.mean_x))

    def error(self, weight: NDArray[np.floating], bias: NDArray[np.floating]) -> DoubleArray:
        """Mean squared error of each output, (G, O), for a weight and a bias (G, O)."""
        w = np.asarray(weight, np.float64)
        mean = np.einsum("gok,gk->go", w, self.mean_x)
        quadratic = np.einsum("gok,gok->go", w @ self.gram, w)
        linear = np.einsum("gok,gok->go", w, self.cross)
        error = self.power - 2 * linear + quadratic
        error += bias * (bias + 2 * (mean - self.mean_y))
        # Differences of large numbers: what is left of an exact fit can be below zero.
        return np.asarray(np.maximum(error, 0.0))

    def centred(self, *, has_bias: bool) -> tuple[DoubleArray, DoubleArray]:
        """``gram`` and ``cross`` with the best bias in place, or as they are without bias."""
        if not has_bias:
            return self.gram, self.cross
        gram = self.gram - self.mean_x[:, :, None] * self.mean_x[:, None, :]
        cross = self.cross - self.mean_y[:, :, None] * self.mean_x[:, None, :]
        return gram, cross


class MomentSums:
    """Adds up the moments of one layer."""

    def __init__(self, num_groups: int, num_outputs: int, num_columns: int) -> None:
        """Start from no position; the counts are those of one group."""
        shape = (num_groups, num_columns)
        self._gram = np.zeros((*shape, num_columns))
        self._cross = np.zeros((num_groups, num_outputs, num_columns))
        self._x = np.zeros(shape)
        self._y = np.zeros((num_groups, num_outputs))
        self._power = np.zeros((num_groups, num_outputs))
        self._count = 0
        self._waiting: list[tuple[NDArray[np.floating], NDArray[np.floating]]] = []

    def add(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> None:
        """Add columns (G, positions, K) and the float layer's outputs, (G, positions, O).

        They are kept for a while: not to be changed afterwards.
        """
        self._waiting.append((x, y))
        self._count += x.shape[1]
        # Few positions at a time would read and write all sums for little work.
        if sum(columns.shape[1] for columns, _ in self._waiting) >= self._gram.shape[1]:
            self._flush()

    @property
    def count(self) -> int:
        """Positions so far."""
        return self._count

    def moments(self) -> Moments:
        """The means over what was added; nothing can be added afterwards.

        Raises:
            ValueError: Nothing was added.
        """
        if not self._count:
            raise ValueError("moments of no position")
        self._flush()
        sums = (self._gram, self._cross, self._x, self._y, self._power)
        return Moments(*(np.divide(array, self._count, out=array) for array in sums))

    def _flush(self) -> None:
        if not self._waiting:
            return
        x, y = (np.concatenate(arrays, axis=1) for arrays in zip(*self._waiting, strict=True))
        self._waiting.clear()
        for group in range(len(x)):
            # A matrix times its own transpose takes half of the work, but not in a stack.
            self._gram[group] += x[group].T @ x[group]
            self._cross[group] += y[group].T @ x[group]
        self._x += x.sum(axis=1, dtype=np.float64)
        self._y += y.sum(axis=1, dtype=np.float64)
        self._power += np.square(y, dtype=np.float64).sum(axis=1)


def moments_bytes(num_groups: int, num_outputs: int, num_columns: int) -> int:
    """Memory of one layer's moments."""
    return 8 * num_groups * num_columns * (num_columns + num_outputs)
