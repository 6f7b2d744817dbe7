"""Programs measured in turns: what both rounds of a pair share cancels."""

import numpy as np
import pytest

from octavo.compiler.report.comparison import Verdict
from octavo.compiler.report.turns import RoundMedians, Turns

DRIFT = 1.0 + 0.5 * np.sin(np.arange(12.0))  # a machine that is up to three times as slow


def turns(before_us, after_us):
    """Medians of the rounds of two programs of one step."""
    before, after = (tuple(map(float, times)) for times in (before_us, after_us))
    return Turns(RoundMedians(before, (before,)), RoundMedians(after, (after,)))


def test_a_small_difference_is_seen_through_a_large_drift():
    found = turns(100 * DRIFT, 96 * DRIFT)
    assert found.run_verdict() is found.layer_verdict([0], [0]) is Verdict.FASTER
    speedup = found.speedup()
    assert speedup.latency_us == pytest.approx(100 / 96)
    assert speedup.low_us == pytest.approx(speedup.high_us)
    assert turns(96 * DRIFT, 100 * DRIFT).run_verdict() is Verdict.SLOWER


def test_less_than_two_percent_and_less_than_the_clock_is_noise():
    assert turns(100 * DRIFT, 98.5 * DRIFT).run_verdict() is Verdict.NOISE
    assert turns(0.20 * DRIFT, 0.18 * DRIFT).run_verdict() is Verdict.NOISE


def test_pairs_that_disagree_are_noise():
    sign = np.where(np.arange(12) % 3 == 0, -1, 1)
    assert turns(100 + 10 * sign, 100 - 10 * sign).run_verdict() is Verdict.NOISE


def test_one_disturbed_pair_is_outvoted():
    before = 100 * np.ones(12)
    before[4] = 1000.0
    assert turns(before, 105 * np.ones(12)).run_verdict() is Verdict.SLOWER


def test_too_few_rounds_say_nothing():
    found = turns(100 * np.ones(5), 50 * np.ones(5))
    assert found.run_verdict() is Verdict.NOISE
    assert found.speedup() is None


def test_a_program_with_a_round_more_is_cut():
    assert turns(100 * np.ones(9), 50 * np.ones(8)).num_rounds == 8


def test_steps_of_a_layer_add_up():
    ones = np.ones(8)
    before = RoundMedians((1.0,) * 8, tuple(map(tuple, (40 * ones, 60 * ones))))
    after = RoundMedians((1.0,) * 8, tuple(map(tuple, (9 * ones, 80 * ones))))
    assert Turns(before, after).layer_verdict([0, 1], [1]) is Verdict.FASTER
    assert Turns(before, after).layer_verdict([1], [1]) is Verdict.SLOWER
