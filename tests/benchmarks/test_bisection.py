"""Bisection on twelve layers that were really trained, and on a pair that was planted."""

import pytest
from benchmarks.bisection import FOUR_BITS, Bisection
from benchmarks.bisection_cases import NUM_LAYERS, perceptron_case, planted_case
from benchmarks.planted_pair import PAIR

# Networks are trained for seconds, not to the end.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


@pytest.fixture(scope="module")
def planted():
    return Bisection(planted_case())


def test_twelve_layers_keep_the_drop_on_images_that_the_search_did_not_see():
    bisection = Bisection(perceptron_case(0))
    assert len(bisection.layers) == NUM_LAYERS
    found = bisection.find(1.0, "coupled")
    assert found.num_evaluations <= bisection.most_evaluations == 12
    assert found.count(FOUR_BITS) > NUM_LAYERS // 2
    assert max(found.drops.values()) <= 1.0


def test_each_of_the_planted_pair_is_harmless_and_both_are_not(planted):
    alone = [planted.drop("search", {name: FOUR_BITS}) for name in PAIR]
    assert alone == [0.0, 0.0]
    assert planted.drop("search", dict.fromkeys(PAIR, FOUR_BITS)) > 50


def test_couplings_separate_the_pair_and_traces_of_hessians_do_not(planted):
    coupled, plain = (planted.find(2.0, order) for order in ("coupled", "hessian"))
    places = [abs(f.order.index(PAIR[0]) - f.order.index(PAIR[1])) for f in (coupled, plain)]
    assert places == [NUM_LAYERS - 1, 1]
    assert plain.order[:2] == PAIR
    assert coupled.count(FOUR_BITS) > plain.count(FOUR_BITS) == 1
    assert max(coupled.drops.values()) <= 2.0
