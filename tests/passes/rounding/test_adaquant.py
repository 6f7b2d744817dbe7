import numpy as np
import pytest

from octavo.passes.rounding.adaquant import (
    InputGrid,
    LearnedLayer,
    gradients_of,
    learn_layer,
    output_error,
)

QMAX = 3
GRID = InputGrid(scale=0.25, zero_point=5.0, qmin=0, qmax=15)


def _start(problem, grid):
    return LearnedLayer(
        problem.weight.copy(), problem.grid.scale * 0.7, np.zeros(problem.y.shape[::2]), grid
    )


def _smooth_error(layer, frozen, x, y):
    """The error with every rounding error and every saturation as at ``frozen``."""

    def rounded(u, low, high, at):
        return np.where(
            np.rint(at) > high, high, np.where(np.rint(at) < low, low, u + np.rint(at) - at)
        )

    steps = rounded(layer.weight / layer.scale, -QMAX, QMAX, frozen.weight / frozen.scale)
    w = steps * layer.scale
    read = x
    if layer.grid is not None:
        zero, at = layer.grid.zero_point, frozen.grid
        low, high = at.qmin - zero, at.qmax - zero
        inside = rounded(x / layer.grid.scale, -1e9, 1e9, x / at.scale)
        whole = np.rint(x / at.scale) + at.zero_point
        cut = np.where(whole > at.qmax, high, np.where(whole < at.qmin, low, inside))
        read = cut * layer.grid.scale
    made = read @ w.transpose(0, 2, 1) + layer.bias[:, None, :]
    return np.square(made - y).sum() / x.shape[1]


@pytest.mark.parametrize("grid", [GRID, None])
def test_gradients_are_those_of_the_smooth_parts(make_problem, grid):
    problem = make_problem(groups=2, outputs=3, columns=4)
    layer = _start(problem, grid)
    x, y = problem.x[:, :40], problem.y[:, :40]
    if grid is not None:  # some inputs are cut on either side
        whole = np.rint(x / grid.scale) + grid.zero_point
        assert (whole < grid.qmin).any()
        assert (whole > grid.qmax).any()
    assert (np.abs(np.rint(layer.weight / layer.scale)) > QMAX).any()
    found = gradients_of(layer, QMAX, x, y)
    step = 1e-6

    def difference(change):
        sides = []
        for sign in (1, -1):
            moved = _start(problem, grid)
            change(moved, sign * step)
            sides.append(_smooth_error(moved, layer, x, y))
        return (sides[0] - sides[1]) / (2 * step)

    for field in ("weight", "scale", "bias"):
        slopes = getattr(found, field)
        for index in np.ndindex(slopes.shape):

            def change(moved, amount, field=field, index=index):
                getattr(moved, field)[index] += amount

            assert slopes[index] == pytest.approx(difference(change), rel=1e-4, abs=1e-6)
    if grid is None:
        return

    def scale(moved, amount):
        moved.grid = InputGrid(grid.scale + amount, grid.zero_point, grid.qmin, grid.qmax)

    def zero(moved, amount):
        moved.grid = InputGrid(grid.scale, grid.zero_point + amount, grid.qmin, grid.qmax)

    assert found.input_scale == pytest.approx(difference(scale), rel=1e-4)
    assert found.input_zero == pytest.approx(difference(zero), rel=1e-4)


@pytest.mark.parametrize("grid", [InputGrid(0.9, 8.0, 0, 15), None])
def test_learning_lowers_the_error(make_problem, grid):
    problem = make_problem(outputs=6, columns=20)
    bias = problem.moments.best_bias(problem.grid.values(problem.grid.nearest(problem.weight)))
    start = LearnedLayer(problem.weight, problem.grid.scale, bias, grid)
    before = output_error(problem.grid.nearest(problem.weight), start, problem.x, problem.y)
    q, learned = learn_layer(
        start,
        QMAX,
        problem.x,
        problem.y,
        has_bias=True,
        learn_scale=True,
        learn_grid=True,
        learn_zero=True,
    )
    assert np.abs(q).max() <= QMAX
    assert output_error(q, learned, problem.x, problem.y).sum() < 0.6 * before.sum()
    if grid is not None:
        assert learned.grid.scale <= grid.scale
        assert learned.grid.zero_point == round(learned.grid.zero_point)
    np.testing.assert_array_equal(start.bias, bias)
