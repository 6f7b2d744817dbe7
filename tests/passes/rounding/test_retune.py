import numpy as np

from octavo.passes.rounding.retune import matched_bias, matched_statistics
from octavo.passes.rounding.stored_layer import Choice


def _made(problem, choice):
    return problem.x @ choice.weight.transpose(0, 2, 1) + choice.bias[:, None, :]


def test_outputs_get_the_mean_and_the_spread_of_float(make_problem):
    problem = make_problem(groups=2)
    q = problem.grid.nearest(problem.weight)
    stored = Choice(q, problem.grid, np.zeros((2, 4)))
    before, after = (
        _made(problem, c) for c in (stored, matched_statistics(stored, problem.moments))
    )
    wanted = problem.y
    assert not np.allclose(before.mean(axis=1), wanted.mean(axis=1))
    assert not np.allclose(before.std(axis=1), wanted.std(axis=1))
    np.testing.assert_allclose(after.mean(axis=1), wanted.mean(axis=1))
    np.testing.assert_allclose(after.std(axis=1), wanted.std(axis=1))


def test_a_bias_alone_gives_the_mean(make_problem):
    problem = make_problem()
    stored = Choice(problem.grid.nearest(problem.weight), problem.grid, np.ones((1, 4)))
    matched = matched_bias(stored, problem.moments)
    assert matched.grid is stored.grid
    made = _made(problem, matched)
    np.testing.assert_allclose(made.mean(axis=1), problem.y.mean(axis=1))


def test_an_output_of_zero_weights_keeps_its_scale(make_problem):
    problem = make_problem()
    q = problem.grid.nearest(problem.weight)
    q[0, 1] = 0
    stored = Choice(q, problem.grid, np.zeros((1, 4)))
    matched = matched_statistics(stored, problem.moments)
    assert matched.grid.scale[0, 1] == problem.grid.scale[0, 1]
    assert np.isfinite(matched.bias).all()
