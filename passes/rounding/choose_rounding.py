"""Choose the constants of one layer: never worse than they are, on samples set aside."""

import numpy as np
from numpy.typing import NDArray

from octavo.passes.rounding.adaround import round_adaptively
from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.rounding.moments import Moments
from octavo.passes.rounding.second_order import round_second_order
from octavo.passes.rounding.stored_layer import Choice


def choose_rounding(
    method: str,
    weight: NDArray[np.floating],
    stored: Choice,
    fitting: Moments,
    checking: Moments,
    *,
    has_bias: bool,
    refit_scale: bool,
) -> Choice:
    """Round a layer anew; each output keeps what it has unless the new is better.

    Args:
        method: "adaround" or "second_order".
        weight: Float weight, (G, O, K).
        stored: Rounded to nearest.
        fitting: Moments of one half of the samples: integers and bias are chosen by these.
        checking: Moments of the other half: what is better is judged by these.
        has_bias: Whether the layer stores a bias.
        refit_scale: Whether each output may have a scale of its own choice.
    """
    grid = stored.grid
    if method == "adaround":
        q = round_adaptively(weight, fitting, grid, has_bias=has_bias)
    else:
        q, grid = round_second_order(
            weight, fitting, grid, has_bias=has_bias, refit_scale=refit_scale
        )
    best = with_best_bias(Choice(stored.q, stored.grid, stored.bias), fitting, has_bias)
    for candidate in (best, with_best_bias(Choice(q, grid, stored.bias), fitting, has_bias)):
        stored = better_of(stored, candidate, checking)
    return stored


def with_best_bias(choice: Choice, moments: Moments, has_bias: bool) -> Choice:
    """The same weights with the bias of least squared error."""
    if not has_bias:
        return choice
    return Choice(choice.q, choice.grid, moments.best_bias(choice.weight))


def better_of(old: Choice, new: Choice, checking: Moments) -> Choice:
    """For each output the choice of the smaller error; the old one when they are equal."""
    is_better = checking.error(new.weight, new.bias) < checking.error(old.weight, old.bias)
    if not is_better.any():
        return old
    grid = old.grid
    if new.grid is not old.grid:
        scale = np.where(is_better[:, :, None], new.grid.scale, old.grid.scale)
        grid = WeightGrid(scale, old.grid.qmax)
    q = np.where(is_better[:, :, None], new.q, old.q).astype(np.int32)
    return Choice(q, grid, np.where(is_better, new.bias, old.bias))
