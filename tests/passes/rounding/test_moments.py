import numpy as np
import pytest

from octavo.passes.rounding.moments import MomentSums


@pytest.mark.parametrize("groups", [1, 3])
def test_the_error_is_that_of_the_columns(make_problem, groups):
    problem = make_problem(groups)
    rng = np.random.default_rng(1)
    weight = problem.weight + 0.1 * rng.normal(size=problem.weight.shape)
    bias = rng.normal(size=(groups, 4))
    np.testing.assert_allclose(
        problem.moments.error(weight, bias), problem.error(weight, bias), rtol=1e-9
    )


def test_no_other_bias_has_a_smaller_error(make_problem):
    problem = make_problem(2)
    weight = problem.grid.values(problem.grid.nearest(problem.weight))
    best = problem.moments.best_bias(weight)
    least = problem.moments.error(weight, best)
    for delta in (-1e-3, 1e-3):
        assert (problem.moments.error(weight, best + delta) > least).all()


def test_centred_moments_are_those_with_the_best_bias(make_problem):
    problem = make_problem(2)
    weight = problem.weight * 0.9
    gram, cross = problem.moments.centred(has_bias=True)
    quadratic = np.einsum("gok,gkl,gol->go", weight, gram, weight)
    quadratic -= 2 * np.einsum("gok,gok->go", weight, cross)
    spread = problem.moments.power - problem.moments.mean_y**2
    best = problem.moments.best_bias(weight)
    np.testing.assert_allclose(spread + quadratic, problem.moments.error(weight, best))


def test_moments_of_nothing_are_refused():
    with pytest.raises(ValueError, match="no position"):
        MomentSums(1, 1, 1).moments()
