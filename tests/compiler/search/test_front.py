"""Dominance, fronts, volumes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from octavo.compiler.search.front import crowding, dominates, hypervolume, nondominated, ranks
from octavo.compiler.search.problem import Evaluation

CELLS = 6
GRIDS = st.integers(1, 3).flatmap(
    lambda m: hnp.arrays(np.float64, (7, m), elements=st.integers(0, CELLS).map(float))
)


def dominated_by(points, i):
    return [
        j for j, p in enumerate(points) if (p <= points[i]).all() and (p < points[i]).any()
    ]


@given(GRIDS)
def test_dominance_is_what_the_words_say(points):
    found = dominates(points)
    for i in range(len(points)):
        assert np.flatnonzero(found[:, i]).tolist() == dominated_by(points, i)


@given(GRIDS)
def test_a_rank_is_one_more_than_the_highest_that_dominates(points):
    found = ranks(points)
    for i, rank in enumerate(found):
        assert rank == max((found[j] + 1 for j in dominated_by(points, i)), default=0)


@given(GRIDS)
def test_the_volume_is_the_number_of_cells_that_are_dominated(points):
    num_objectives = points.shape[1]
    cells = np.stack(np.meshgrid(*[np.arange(CELLS)] * num_objectives), -1)
    cells = cells.reshape(-1, num_objectives)  # lower corners; a cell is one wide
    covered = sum(bool((points <= cell).all(axis=1).any()) for cell in cells)
    assert hypervolume(points, [CELLS] * num_objectives) == covered


def test_what_exceeds_a_limit_less_dominates_what_exceeds_it_more():
    points = np.array([[1.0, 1.0], [5.0, 5.0], [4.0, 9.0]])
    assert ranks(points, np.array([0.5, 0.0, 0.0])).tolist() == [1, 0, 0]


def test_ends_are_crowded_least_and_close_neighbours_most():
    points = np.array([[0.0, 10.0], [1.0, 6.0], [2.0, 5.0], [10.0, 0.0]])
    distance = crowding(points)
    assert np.isinf(distance[[0, 3]]).all()
    assert distance[1] == pytest.approx(2 / 10 + 5 / 10)
    assert distance[2] == pytest.approx(9 / 10 + 6 / 10)


def test_failed_and_equal_evaluations_are_not_on_the_front():
    evaluations = [
        Evaluation({"a": 0}, {"loss": 1.0, "ms": 2.0}),
        Evaluation({"a": 1}, {"loss": 1.0, "ms": 2.0}),
        Evaluation({"a": 2}, {}, "device lost"),
        Evaluation({"a": 3}, {"loss": 0.5, "ms": 3.0}),
        Evaluation({"a": 4}, {"loss": 0.6, "ms": 3.0}),
    ]
    front = nondominated(evaluations, ("loss", "ms"))
    assert [e.configuration["a"] for e in front] == [3, 0]
    assert nondominated(evaluations[2:3], ("loss", "ms")) == ()
