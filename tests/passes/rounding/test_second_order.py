from itertools import product

import numpy as np
import pytest

from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.rounding.second_order import fit_scale, round_second_order


def _error(problem, q, grid):
    weight = grid.values(q)
    return problem.moments.error(weight, problem.moments.best_bias(weight))


@pytest.mark.parametrize("qmax", [1, 3, 7])
def test_rounding_lowers_the_error_of_every_output(make_problem, qmax):
    problem = make_problem(groups=2, outputs=6, columns=20, qmax=qmax)
    q, grid = round_second_order(problem.weight, problem.moments, problem.grid, has_bias=True)
    assert grid is problem.grid
    assert np.abs(q).max() <= qmax
    nearest = _error(problem, problem.grid.nearest(problem.weight), problem.grid)
    chosen = _error(problem, q, grid)
    assert (chosen <= nearest).all()
    assert chosen.sum() < nearest.sum() / 4


def test_it_is_close_to_the_best_of_all_integers(make_problem):
    problem = make_problem(outputs=3, columns=6, qmax=1)
    everything = np.array(list(product((-1, 0, 1), repeat=6)), np.int32)
    q, _ = round_second_order(problem.weight, problem.moments, problem.grid, has_bias=True)
    for output in range(3):
        grid = WeightGrid(problem.grid.scale[:, output : output + 1], 1)
        gram, cross = problem.moments.centred(has_bias=True)
        w = everything * grid.scale[0]
        errors = np.einsum("nk,kl,nl->n", w, gram[0], w) - 2 * w @ cross[0, output]
        chosen = (everything == q[0, output]).all(axis=1)
        # Of 729; a change of one integer does not help, of two it may.
        assert (errors < errors[chosen]).sum() <= 10


def test_a_refitted_scale_is_the_best_for_its_integers(make_problem):
    problem = make_problem()
    q = problem.grid.nearest(problem.weight)
    gram, cross = problem.moments.centred(has_bias=True)
    fitted = fit_scale(q, gram, cross, problem.grid)
    least = _error(problem, q, fitted)
    assert (least <= _error(problem, q, problem.grid)).all()
    for factor in (0.999, 1.001):
        other = WeightGrid(fitted.scale * factor, fitted.qmax)
        assert (_error(problem, q, other) > least).all()


def test_inputs_that_are_always_zero_keep_their_weights(make_problem):
    problem = make_problem(columns=5, qmax=7)
    problem.moments.gram[:, 2] = problem.moments.gram[:, :, 2] = 0
    problem.moments.cross[:, :, 2] = 0
    problem.moments.mean_x[:, 2] = 0
    q, _ = round_second_order(problem.weight, problem.moments, problem.grid, has_bias=True)
    nearest = problem.grid.nearest(problem.weight)
    np.testing.assert_array_equal(q[:, :, 2], nearest[:, :, 2])
