"""Choose the constants of one layer: never worse than they are, on samples set aside."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.passes.rounding.adaround import round_adaptively
from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.rounding.moments import Moments
from octavo.passes.rounding.second_order import DAMPINGS, SecondOrder
from octavo.passes.rounding.stored_layer import Choice

DoubleArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JudgedRounding:
    """The best constants that were found for a layer's integers, whatever bias it stores.

    Errors are mean squared errors of each output, (G, O), on the samples set aside.

    Attributes:
        best: Nearest integers or others, for each output what has the smaller error.
        error: Of ``best``.
        least: Of the nearest integers with the bias of least error.
        centre: That bias; any other adds the square of the distance.
    """

    best: Choice
    error: DoubleArray
    least: DoubleArray
    centre: DoubleArray

    def error_of(self, stored: Choice) -> DoubleArray:
        """Error of the nearest integers with the bias that a layer stores."""
        return np.asarray(self.least + np.square(stored.bias - self.centre))

    def against(self, stored: Choice) -> tuple[Choice, DoubleArray, DoubleArray]:
        """For each output the best constants, or the stored ones unless they are worse.

        Args:
            stored: Nearest integers and the bias that the layer has.

        Returns:
            The constants, and the errors of the stored and of these.
        """
        before = self.error_of(stored)
        is_better = self.error < before
        if not is_better.any():
            return stored, before, before
        merged = _merged(stored, self.best, is_better)
        return merged, before, np.where(is_better, self.error, before)


def judge_rounding(
    method: str,
    weight: NDArray[np.floating],
    nearest: Choice,
    fitting: Moments,
    checking: Moments,
    *,
    has_bias: bool,
    refit_scale: bool,
) -> JudgedRounding:
    """Round a layer anew, and judge what was found on other samples.

    Args:
        method: "adaround" or "second_order".
        weight: Float weight, (G, O, K).
        nearest: Rounded to nearest; its bias does not matter when ``has_bias``.
        fitting: Moments of one half of the samples: integers and bias are chosen by these.
        checking: Moments of the other half: what is better is judged by these.
        has_bias: Whether the layer stores a bias.
        refit_scale: Whether each output may have a scale of its own choice.
    """
    best = _with_best_bias(nearest, fitting, has_bias)
    centre = checking.best_bias(best.weight)
    least = checking.error(best.weight, centre)
    error = least + np.square(best.bias - centre)
    for q, grid in _candidates(method, weight, nearest.grid, fitting, has_bias, refit_scale):
        new = _with_best_bias(Choice(q, grid, nearest.bias), fitting, has_bias)
        new_error = checking.error(new.weight, new.bias)
        is_better = new_error < error
        if is_better.any():
            best = _merged(best, new, is_better)
            error = np.where(is_better, new_error, error)
    return JudgedRounding(best, error, least, centre)


def _candidates(
    method: str,
    weight: NDArray[np.floating],
    grid: WeightGrid,
    moments: Moments,
    has_bias: bool,
    refit_scale: bool,
) -> Iterator[tuple[NDArray[np.int32], WeightGrid]]:
    """Integers and their grids: those of AdaRound, or of each damping."""
    if method == "adaround":
        yield round_adaptively(weight, moments, grid, has_bias=has_bias), grid
        return
    for damping in DAMPINGS:
        layer = SecondOrder(weight, moments, has_bias=has_bias, damping=damping)
        yield layer.round(grid, refit_scale=refit_scale)


def _with_best_bias(choice: Choice, moments: Moments, has_bias: bool) -> Choice:
    if not has_bias:
        return choice
    return Choice(choice.q, choice.grid, moments.best_bias(choice.weight))


def _merged(old: Choice, new: Choice, is_new: NDArray[np.bool_]) -> Choice:
    """For each output one of two choices."""
    grid = old.grid
    if new.grid is not old.grid:
        scale = np.where(is_new[:, :, None], new.grid.scale, old.grid.scale)
        grid = WeightGrid(scale, old.grid.qmax)
    q = np.where(is_new[:, :, None], new.q, old.q).astype(np.int32)
    return Choice(q, grid, np.where(is_new, new.bias, old.bias))
