from itertools import product

import numpy as np
import pytest

from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.rounding.moments import MomentSums
from octavo.passes.rounding.second_order import BLOCK, SecondOrder


def _error(problem, q, grid):
    weight = grid.values(q)
    return problem.moments.error(weight, problem.moments.best_bias(weight))


def _round(problem, **options):
    layer = SecondOrder(problem.weight, problem.moments, has_bias=True)
    return layer.round(problem.grid, **options)


@pytest.mark.parametrize("qmax", [1, 3, 7])
def test_rounding_lowers_the_error_of_every_output(make_problem, qmax):
    problem = make_problem(groups=2, outputs=6, columns=20, qmax=qmax)
    q, grid = _round(problem)
    assert grid is problem.grid
    assert np.abs(q).max() <= qmax
    nearest = _error(problem, problem.grid.nearest(problem.weight), problem.grid)
    chosen = _error(problem, q, grid)
    assert (chosen <= nearest).all()
    assert chosen.sum() < nearest.sum() / 4


def test_it_is_close_to_the_best_of_all_integers(make_problem):
    problem = make_problem(outputs=3, columns=6, qmax=1)
    everything = np.array(list(product((-1, 0, 1), repeat=6)), np.int32)
    q, _ = _round(problem)
    for output in range(3):
        grid = WeightGrid(problem.grid.scale[:, output : output + 1], 1)
        gram, cross = problem.moments.centred(has_bias=True)
        w = everything * grid.scale[0]
        errors = np.einsum("nk,kl,nl->n", w, gram[0], w) - 2 * w @ cross[0, output]
        chosen = (everything == q[0, output]).all(axis=1)
        # Of 729; a change of one integer does not help, of two it may.
        assert (errors < errors[chosen]).sum() <= 10


@pytest.mark.parametrize("columns", [12, BLOCK - 1, BLOCK + 1])
def test_a_refitted_scale_is_the_best_for_its_integers(make_problem, columns):
    problem = make_problem(columns=columns)
    q, fitted = _round(problem, refit_scale=True)
    least = _error(problem, q, fitted)
    plain = _error(problem, *_round(problem))
    assert (least <= plain * (1 + 1e-3)).all()  # damping is a part of what it minimizes
    for factor in (0.99, 1.01):
        other = WeightGrid(fitted.scale * factor, fitted.qmax)
        assert (_error(problem, q, other) > least).all()


def test_no_single_integer_lowers_the_error(make_problem):
    problem = make_problem(outputs=3, columns=2 * BLOCK + 5, qmax=3)
    q, grid = _round(problem)
    least = _error(problem, q, grid)
    for column in range(q.shape[2]):
        for delta in (-1, 1):
            other = q.copy()
            other[:, :, column] += delta
            is_allowed = np.abs(other[:, :, column]) <= grid.qmax
            # Damping is a part of what is minimized.
            assert (_error(problem, other, grid) > least * 0.999)[is_allowed].all()


def test_blocks_of_scales_are_those_of_their_columns(make_problem):
    problem = make_problem(outputs=3, columns=8)
    scale = np.repeat(problem.grid.scale, 8, axis=2) * np.repeat([1.0, 0.5], 4)
    grid = WeightGrid(scale, 7)
    q, same = SecondOrder(problem.weight, problem.moments, has_bias=True).round(
        grid, refit_scale=True
    )
    assert same is grid
    assert (
        _error(problem, q, grid).sum()
        < _error(problem, grid.nearest(problem.weight), grid).sum()
    )


def test_inputs_that_are_always_zero_keep_their_weights(make_problem):
    problem = make_problem(columns=5, qmax=7)
    problem.moments.gram[:, 2] = problem.moments.gram[:, :, 2] = 0
    problem.moments.cross[:, :, 2] = 0
    problem.moments.mean_x[:, 2] = 0
    q, _ = _round(problem)
    nearest = problem.grid.nearest(problem.weight)
    np.testing.assert_array_equal(q[:, :, 2], nearest[:, :, 2])


def test_a_single_position_leaves_most_weights_at_the_nearest(make_problem):
    """Nothing varies around the mean; what is left of H is how float32 was rounded."""
    problem = make_problem(outputs=6, columns=100)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(1, 1, 100)).astype(np.float32)
        sums = MomentSums(1, 6, 100)
        sums.add(x, rng.normal(size=(1, 1, 6)).astype(np.float32))
        layer = SecondOrder(problem.weight, sums.moments(), has_bias=True)
        q, _ = layer.round(problem.grid)
        assert (q == problem.grid.nearest(problem.weight)).mean() > 0.9
