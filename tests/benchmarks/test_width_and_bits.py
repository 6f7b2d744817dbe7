"""A width of the network is one more choice of a search over formats."""

import pytest
from benchmarks.width_and_bits import OBJECTIVES, WIDTH, WidthAndBits

from octavo.compiler.search.ask_tell import run
from octavo.compiler.search.predicted_front import search_front
from octavo.passes.layer_format import EIGHT_BITS

# Networks are trained for seconds, not to the end.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


@pytest.fixture(scope="module")
def space():
    return WidthAndBits(widths=(8, 4))


def uniform(space, width):
    return {**dict.fromkeys(space.problem.choices, EIGHT_BITS), WIDTH: width}


def test_a_wider_network_costs_more_and_answers_better(space):
    wide, narrow = (space.evaluate(uniform(space, width)).objectives for width in (8, 4))
    assert wide["wrong"] < narrow["wrong"]
    assert wide["bytes"] > narrow["bytes"]
    # one byte for each weight, four for the scale of each of 8, 8, 8 and 10 channels
    assert wide["bytes"] == 64 * 8 + 8 * 8 + 8 * 8 + 8 * 10 + 4 * 34
    assert wide["bit operations"] == 64 * (64 * 8 + 8 * 8 + 8 * 8 + 8 * 10)


def test_a_seed_makes_a_search_that_returns_what_was_measured_only(space):
    measured = []

    def evaluate(configuration):
        measured.append(space.evaluate(configuration))
        return measured[-1]

    def search():
        return run(search_front(space.problem, budget=20, seed=3), evaluate)

    first = search()
    assert len(measured) == 20
    assert all(evaluation in measured for evaluation in first.result)
    assert {e.configuration[WIDTH] for e in first.result} == {8, 4}
    assert [e.configuration for e in search().result] == [
        e.configuration for e in first.result
    ]
    assert set(first.result[0].objectives) == set(OBJECTIVES)
