"""AdaQuant for one stored layer: start from what is stored, keep what is better."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.passes.rounding.activation_grid import ActivationGrid
from octavo.passes.rounding.adaquant import InputGrid, LearnedLayer, learn_layer, output_error
from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.rounding.stored_layer import Choice

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Columns:
    """What a layer gets before it is rounded, and should give.

    Attributes:
        x: (G, N, K).
        y: (G, N, O).
    """

    x: FloatArray
    y: FloatArray


@dataclass(frozen=True, eq=False)
class Learned:
    """The outcome for one layer.

    Attributes:
        choice: Its constants.
        scale: Of its input, when that changes.
        zero_point: Of its input, when that changes.
        error_before: Mean squared error on the columns set aside, as stored.
        error_after: The same with this outcome; never larger.
    """

    choice: Choice
    scale: float | None
    zero_point: int | None
    error_before: float
    error_after: float


def choose_learned(
    weight: FloatArray,
    stored: Choice,
    fitting: Columns,
    checking: Columns,
    *,
    has_bias: bool,
    can_rescale: bool,
    grid: ActivationGrid | None,
    learn_grid: bool,
) -> Learned:
    """Learn a layer's constants on one half of the columns, and judge them by the other.

    Args:
        weight: Float weight, (G, O, K).
        stored: Rounded already; learning starts from these integers.
        fitting: Columns to learn from.
        checking: Columns to judge by.
        has_bias: Whether the layer stores a bias.
        can_rescale: Whether each output stores a scale of its own.
        grid: How its input is rounded; None when it is not.
        learn_grid: Whether its input may be rounded otherwise.
    """
    first = None
    if grid is not None:
        first = InputGrid(grid.scale, float(grid.zero_point), grid.qmin, grid.qmax)
    as_stored = LearnedLayer(stored.weight, stored.grid.scale, stored.bias, first)
    best = Learned(stored, None, None, *2 * (_error(stored.q, as_stored, checking),))
    # From the float weights integers are nearest at first; from the stored ones, what another
    # method found is not lost. Which ends better differs from layer to layer.
    for values in (np.asarray(weight, np.float64), stored.weight):
        start = LearnedLayer(values, stored.grid.scale, stored.bias, first)
        q, learned = learn_layer(
            start,
            stored.grid.qmax,
            fitting.x,
            fitting.y,
            has_bias=has_bias,
            learn_scale=can_rescale,
            learn_grid=learn_grid,
            learn_zero=learn_grid and grid is not None and not grid.ends_at_zero,
        )
        error = _error(q, learned, checking)
        if error < best.error_after:
            scales = (
                WeightGrid(learned.scale, stored.grid.qmax) if can_rescale else stored.grid
            )
            moved = learned.grid if learn_grid else None
            best = Learned(
                Choice(q, scales, learned.bias),
                moved.scale if moved else None,
                int(moved.zero_point) if moved else None,
                best.error_before,
                error,
            )
    return best


def _error(q: NDArray[np.int32], layer: LearnedLayer, columns: Columns) -> float:
    return float(output_error(q, layer, columns.x, columns.y).mean())
