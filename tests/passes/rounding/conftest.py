"""Layers whose inputs are correlated, so that rounding one weight can make up for another."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.rounding.moments import Moments, MomentSums


@dataclass(frozen=True)
class Problem:
    """One layer: weight (G, O, K), columns (G, N, K) and outputs (G, N, O)."""

    weight: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    moments: Moments
    grid: WeightGrid

    def error(self, weight: NDArray[Any], bias: NDArray[Any]) -> NDArray[np.float64]:
        """Mean squared error of each output, from the columns themselves."""
        made = self.x @ weight.transpose(0, 2, 1) + bias[:, None, :]
        return np.square(self.y - made).mean(axis=1)


@pytest.fixture
def make_problem() -> Callable[..., Problem]:
    """A random layer; its inputs have few directions, and are not centred."""

    def make(
        groups: int = 1, outputs: int = 4, columns: int = 12, qmax: int = 3, seed: int = 0
    ) -> Problem:
        rng = np.random.default_rng(seed)
        weight = rng.normal(size=(groups, outputs, columns))
        hidden = rng.normal(size=(groups, 400, 3))
        x = hidden @ rng.normal(size=(groups, 3, columns)) + 1.0
        x += 0.2 * rng.normal(size=x.shape)
        y = x @ weight.transpose(0, 2, 1) + rng.normal(size=(groups, 1, outputs))
        sums = MomentSums(groups, outputs, columns)
        sums.add(x[:, :150], y[:, :150])
        sums.add(x[:, 150:], y[:, 150:])
        scale = np.abs(weight).max(axis=2, keepdims=True) / qmax
        return Problem(weight, x, y, sums.moments(), WeightGrid(scale, qmax))

    return make
