import numpy as np
import pytest

from octavo.passes.rounding.adaround import (
    logit_of,
    rectified_sigmoid,
    regularizer,
    regularizer_slope,
    round_adaptively,
    sigmoid_slope,
)


@pytest.mark.parametrize("qmax", [1, 7])
def test_weights_go_down_or_up_and_the_error_falls(make_problem, qmax):
    problem = make_problem(groups=2, outputs=6, columns=20, qmax=qmax)
    q = round_adaptively(problem.weight, problem.moments, problem.grid, has_bias=True)
    steps = problem.weight / problem.grid.scale
    assert np.abs(q).max() <= qmax
    assert (np.abs(q - steps) < 1 + 1e-9).all()

    def error(integers):
        weight = problem.grid.values(integers)
        return problem.moments.error(weight, problem.moments.best_bias(weight)).sum()

    assert error(q) < 0.5 * error(problem.grid.nearest(problem.weight))


def test_learning_starts_at_the_float_weight():
    fractions = np.linspace(0, 0.999, 11)
    np.testing.assert_allclose(rectified_sigmoid(logit_of(fractions)), fractions, atol=1e-12)


def test_slopes_are_those_of_their_functions():
    v = np.array([-1.5, -0.3, 0.2, 1.9])
    step = 1e-6
    by_difference = (rectified_sigmoid(v + step) - rectified_sigmoid(v - step)) / (2 * step)
    np.testing.assert_allclose(sigmoid_slope(v), by_difference, rtol=1e-6)
    assert (sigmoid_slope(np.array([-9.0, 9.0])) == 0).all()
    h = np.array([0.1, 0.4, 0.7, 0.95])
    for beta in (2.0, 5.0, 20.0):
        difference = (regularizer(h + step, beta) - regularizer(h - step, beta)) / (2 * step)
        np.testing.assert_allclose(
            regularizer_slope(h, beta), difference, rtol=1e-5, atol=1e-9
        )
