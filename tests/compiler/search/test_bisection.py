"""Bisection along an order, on losses that are known for every configuration."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.compiler.search.ask_tell import AskTell, run
from octavo.compiler.search.bisection import bisect, order_by_marginal_loss
from octavo.compiler.search.problem import Evaluation, Problem

LAYERS = tuple(f"l{i}" for i in range(12))


def problem(max_loss, layers=LAYERS, formats=(8, 4)):
    return Problem(dict.fromkeys(layers, (*formats, 16)), limits={"loss": max_loss})


def start(layers=LAYERS):
    return dict.fromkeys(layers, 16)


def additive(losses):
    """An evaluation that sums losses[layer][format]."""

    def evaluate(configuration):
        total = math.fsum(losses[n].get(f, 0.0) for n, f in configuration.items())
        return Evaluation(configuration, {"loss": total})

    return evaluate


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.data())
def test_it_finds_the_longest_beginning_within_the_evaluations(num_layers, data):
    layers = [f"l{i}" for i in range(num_layers)]
    step = st.floats(0.01, 1.0)
    losses = {n: {8: data.draw(step), 4: 2 + data.draw(step)} for n in layers}
    limit = data.draw(st.floats(0.0, 4.0 * num_layers))

    def order(state, level):
        return sorted(layers, key=lambda n: losses[n][level] - losses[n].get(state[n], 0.0))

    evaluate = additive(losses)
    search = run(bisect(problem(limit, layers), start(layers), (8, 4), order), evaluate)
    expected = start(layers)
    for level in (8, 4):
        for name in order(dict(expected), level):
            moved = {**expected, name: level}
            if evaluate(moved).objectives["loss"] > limit:
                break
            expected = moved
    assert search.result[0].configuration == expected
    assert len(search.evaluations) <= 2 * (math.ceil(math.log2(num_layers)) + 2)


def test_a_pair_that_does_harm_together_is_separated_by_couplings_only():
    """Each of the pair is harmless alone, so that plain order takes both of them first."""
    losses = {name: 0.01 * (i + 1) for i, name in enumerate(LAYERS)}
    pair = ("l0", "l1")

    def evaluate(configuration):
        moved = [n for n, bits in configuration.items() if bits == 4]
        together = 5.0 if set(pair) <= set(moved) else 0.0
        return Evaluation(configuration, {"loss": sum(losses[n] for n in moved) + together})

    def measured(*moved):
        return evaluate({**start(), **dict.fromkeys(moved, 4)}).objectives["loss"]

    neighbours = pairwise(LAYERS)
    couplings = {
        (a, b): measured(a, b) - measured(a) - measured(b) + measured() for a, b in neighbours
    }

    def num_moved(order):
        search = run(bisect(problem(1.0), start(), (4,), lambda *_: order), evaluate)
        assert all(e.objectives["loss"] <= 1.0 for e in search.result)
        return sum(bits == 4 for bits in search.result[0].configuration.values())

    plain = order_by_marginal_loss(losses, {})
    augmented = order_by_marginal_loss(losses, couplings)
    assert plain == list(LAYERS)
    assert augmented == [*LAYERS[:1], *LAYERS[2:], "l1"]
    assert num_moved(plain) == 1
    assert num_moved(augmented) == 11


def test_the_order_is_asked_again_with_what_has_moved():
    """8 bits in the first half leave other costs for 4 bits."""
    asked = []

    def order(state, level):
        asked.append((level, dict(state)))
        return [n for n in LAYERS if level == 8 or state[n] == 8]

    losses = {n: {8: 0.0 if i < 6 else 9.0, 4: 0.1} for i, n in enumerate(LAYERS)}
    search = run(bisect(problem(0.35), start(), (8, 4), order), additive(losses))
    assert [level for level, _ in asked] == [8, 4]
    assert list(asked[1][1].values()) == [8] * 6 + [16] * 6
    assert list(search.result[0].configuration.values()) == [4] * 3 + [8] * 3 + [16] * 6


def test_a_loss_that_falls_again_by_chance_is_stepped_back_from():
    """9 layers measure well, 8 do not: what 9 measured is luck."""
    by_number = dict.fromkeys(range(13), 0.0) | dict.fromkeys((7, 8, 10, 11, 12), 1.0)

    def evaluate(configuration):
        moved = sum(bits == 4 for bits in configuration.values())
        return Evaluation(configuration, {"loss": by_number[moved]})

    def order(state, level):
        return LAYERS

    search = run(bisect(problem(0.5), start(), (4,), order), evaluate)
    asked = [sum(b == 4 for b in e.configuration.values()) for e in search.evaluations]
    assert asked == [6, 9, 11, 10, 8]
    found = [sum(b == 4 for b in e.configuration.values()) for e in search.result]
    assert found == [6]


def test_where_nothing_can_move_the_start_is_measured():
    losses = {n: {8: 1.0, 4: 1.0} for n in LAYERS}
    search = run(bisect(problem(0.5), start(), (8, 4), lambda *_: LAYERS), additive(losses))
    assert [e.configuration for e in search.result] == [start()]
    losses = {n: {16: 1.0} for n in LAYERS}
    search = run(bisect(problem(-1.0), start(), (8,), lambda *_: LAYERS), additive(losses))
    assert search.result == ()


def test_a_failed_evaluation_is_not_allowed():
    def evaluate(configuration):
        if sum(bits == 4 for bits in configuration.values()) > 5:
            return Evaluation(configuration, {}, "device lost")
        return Evaluation(configuration, {"loss": 0.0})

    search = run(bisect(problem(1.0), start(), (4,), lambda *_: LAYERS), evaluate)
    assert sum(b == 4 for b in search.result[0].configuration.values()) == 5


def test_it_goes_on_from_what_was_told():
    rng = np.random.default_rng(5)
    losses = {n: {8: rng.uniform(), 4: 1 + rng.uniform()} for n in LAYERS}

    def solver():
        return bisect(problem(9.0), start(), (8, 4), lambda *_: LAYERS)

    full = run(solver(), additive(losses))
    for told in range(len(full.evaluations)):
        resumed = AskTell(solver())
        resumed.replay(full.evaluations[:told])
        assert resumed.ask() == [full.evaluations[told].configuration]


def test_orders_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="comes twice"):
        AskTell(bisect(problem(1.0), start(), (4,), lambda *_: ["l0", "l0"]))
    with pytest.raises(ValueError, match="no choice of layer 'l0'"):
        AskTell(bisect(problem(1.0), start(), (2,), lambda *_: ["l0"]))
