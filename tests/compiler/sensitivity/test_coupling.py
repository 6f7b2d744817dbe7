import pytest

from octavo.compiler.search.ask_tell import run
from octavo.compiler.search.bisection import bisect
from octavo.compiler.search.problem import Evaluation, Problem
from octavo.compiler.sensitivity.coupling import CoupledLosses, PairwiseCoupling
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat

W4A8 = LayerFormat.parse("w4a8")
LAYERS = ("a", "b", "c", "d")
ALONE = {"a": 0.01, "b": 0.02, "c": 0.03, "d": 0.04}
CHAIN = (("a", "b"), ("b", "c"), ("c", "d"))


def _planted(formats):
    """a and b are harmless alone and harmful together."""
    low = {name for name, chosen in formats.items() if chosen == W4A8}
    return sum(ALONE[name] for name in low) + (1.0 if {"a", "b"} <= low else 0.0)


def test_a_harmful_pair_is_separated():
    losses = CoupledLosses(LAYERS, CHAIN, _planted)
    assert losses.coupling("a", W4A8, "b", W4A8) == pytest.approx(1.0)
    assert losses.coupling("b", W4A8, "c", W4A8) == pytest.approx(0.0)
    assert losses.order({}, W4A8) == ("a", "c", "d", "b")
    # Scores of single layers put the two beside each other at the front.
    assert sorted(LAYERS, key=lambda name: losses.alone(name, W4A8)) == ["a", "b", "c", "d"]


def test_bisection_gets_deeper_along_the_coupled_order():
    """With a loss of at most 0.1 three of four layers can move, but not both a and b."""
    losses = CoupledLosses(LAYERS, CHAIN, _planted)
    problem = Problem(dict.fromkeys(LAYERS, (EIGHT_BITS, W4A8)), limits={"loss": 0.1})

    def num_moved(order):
        solver = bisect(problem, dict.fromkeys(LAYERS, EIGHT_BITS), [W4A8], order)
        search = run(solver, lambda c: Evaluation(c, {"loss": _planted(c)}))
        return list(search.result[0].configuration.values()).count(W4A8)

    assert num_moved(losses.order) == 3
    assert (
        num_moved(lambda _, level: sorted(LAYERS, key=lambda n: losses.alone(n, level))) == 1
    )


def test_what_has_moved_counts():
    losses = CoupledLosses(LAYERS, CHAIN, _planted)
    assert losses.order({"b": W4A8}, W4A8) == ("c", "d", "a")
    assert losses.marginal_cost("a", W4A8, {"b": W4A8}) == pytest.approx(1.01)
    assert losses.marginal_cost("a", W4A8, {"b": EIGHT_BITS}) == pytest.approx(0.01)


def test_each_pair_is_measured_once():
    seen = []
    losses = CoupledLosses(LAYERS, CHAIN, lambda formats: seen.append(formats) or 0.0)
    losses.order({}, W4A8)
    losses.order({}, W4A8)
    assert len(seen) == 1 + len(LAYERS) + len(CHAIN)


def test_coupling_is_measured_at_the_outputs(trials):
    assert trials.variants.neighbours() == (
        ("first", "second"),
        ("first", "third"),
        ("second", "third"),
    )
    measure = PairwiseCoupling(trials)
    w2 = LayerFormat.parse("w2a8")
    one, two, three = trials.layers
    alone = trials.loss({one: w2})
    coupled = [
        trials.loss({one: w2, other: w2}) - alone - trials.loss({other: w2})
        for other in (two, three)
    ]
    assert measure.score(one, w2).loss == pytest.approx(alone + 0.5 * sum(coupled))
    assert sorted(measure.order({}, w2)) == sorted(trials.layers)
