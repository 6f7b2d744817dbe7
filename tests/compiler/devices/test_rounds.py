"""Rounds: taken in turns, until the median is known, and a failure is a value."""

import json
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from octavo.compiler.devices.latency import DeviceTimes
from octavo.compiler.devices.measurement import Measurement, Round
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds
from octavo.errors import DeviceError

NUM_STEPS = 2


@dataclass
class Board:
    """A deployment whose program takes the times of a list, a round each."""

    name: str
    times_us: list
    log: list
    device: str = "board"
    sent: dict = field(default_factory=dict)
    limits_s: list = field(default_factory=list)

    def send(self, name, data):
        self.sent[name] = data

    def run(self, arguments, timeout_s=600.0):
        option = dict(pairwise(arguments))
        runs = int(option["--runs"])
        self.log.append((self.name, runs, "--profile" in arguments))
        self.limits_s.append(timeout_s)
        time_us = self.times_us.pop(0) if len(self.times_us) > 1 else self.times_us[0]
        if isinstance(time_us, str):
            raise DeviceError(f"board: {time_us}")
        steps = NUM_STEPS if "--profile" in arguments else 0
        times = [int(1000 * time_us)] * runs * (1 + steps)
        self.samples = np.array([runs, steps, runs if steps else 0, *times], "<u8").tobytes()
        return json.dumps({"reference_us": [5.0, 6.0], "num_preemptions": 3})

    def fetch(self, name):
        return self.samples

    def machine(self):
        raise NotImplementedError


def test_programs_take_turns_in_alternating_order():
    log = []
    boards = [Board("a", [1e5], log), Board("b", [2e5], log)]
    plan = RoundPlan(runs=6, seconds=0.0)
    ended = []
    measured = measure_rounds(boards, plan, on_round=lambda i, r: ended.append((i, r)))
    assert "".join(name for name, _, _ in log) == "abbaabbaabba"
    assert [m.latency_us for m in measured] == [1e5, 2e5]
    assert all(m.steps_us.shape == (NUM_STEPS, 6) for m in measured)
    assert [i for i, _ in ended] == [0, 1, 1, 0] * 3
    assert tuple(r for i, r in ended if i == 1) == measured[1].rounds
    assert measured[0].rounds[0].disturbance.num_preemptions == 3


def test_rounds_end_when_every_median_is_known():
    log = []
    boards = [Board("a", [1e5], log), Board("b", [2e5] * 3 + [4e5] * 6 + [2e5], log)]
    first, second = measure_rounds(boards, RoundPlan(seconds=1000.0))
    assert first.is_tight()
    assert second.is_tight()
    low, high = second.interval_us
    assert high - low <= 0.04 * second.latency_us
    assert len(first.rounds) == len(second.rounds) > 6


def test_without_a_known_median_the_time_ends_the_rounds():
    (measured,) = measure_rounds([Board("a", [1e5, 1e5, 9e5], [])], RoundPlan(seconds=0.0))
    assert len(measured.rounds) == 1
    assert measured.interval_us is None
    assert not measured.is_tight()


def test_a_round_has_as_many_runs_as_its_time_allows():
    log = []
    measure_rounds([Board("a", [4000.0], log)], RoundPlan(seconds=1000.0))
    assert log[0] == ("a", 3, False)
    assert {runs for _, runs, _ in log[1:]} == {50}
    log.clear()
    measure_rounds([Board("a", [7e6], log)], RoundPlan(seconds=0.0))
    assert log[1] == ("a", 1, True)


def test_a_round_that_hangs_is_ended_long_before_the_longest_time():
    board = Board("a", [1000.0], [])
    measure_rounds([board], RoundPlan(seconds=0.0, timeout_s=600.0))
    assert board.limits_s[0] == 600.0
    assert 10.0 <= board.limits_s[1] < 30.0


def test_a_failure_is_a_value_and_the_others_go_on():
    log = []
    boards = [Board("a", [1e5, 1e5, "gone"], log), Board("b", [2e5], log)]
    first, second = measure_rounds(boards, RoundPlan(runs=12))
    assert first.failure == "board: gone"
    assert first.runs_us.size == 4
    assert second.failure == ""
    assert second.runs_us.size == 12
    assert [name for name, _, _ in log].count("a") == 3


def test_a_program_that_never_ran_has_no_time():
    (measured,) = measure_rounds([Board("a", ["crashed"], [])], RoundPlan())
    assert measured.failure == "board: crashed"
    assert measured.rounds == ()
    assert measured.latency_us == np.inf
    assert measured.runs_us.size == measured.steps_us.size == 0


def test_output_that_was_cut_off_is_a_failure(monkeypatch):
    board = Board("a", [1e5], [])
    monkeypatch.setattr(board, "run", lambda *_: "")
    (measured,) = measure_rounds([board], RoundPlan(runs=3))
    assert measured.failure == "board: the program ended without its result"


def test_what_was_measured_earlier_counts():
    earlier = Measurement((Round(DeviceTimes(np.full(4, 1e5), np.full((2, 4), 5e4))),), "gone")
    log = []
    (measured,) = measure_rounds(
        [Board("a", [1e5], log)], RoundPlan(runs=6), earlier=[earlier])
    assert sum(runs for _, runs, _ in log) == 2
    assert measured.runs_us.size == 6
    assert measured.failure == ""
    (again,) = measure_rounds([Board("a", [1e5], [])], RoundPlan(runs=6), earlier=[measured])
    assert again.rounds == measured.rounds


def test_inputs_are_sent_once_and_named():
    board = Board("a", [1e5], [])
    measure_rounds([board], RoundPlan(runs=2), {"x": np.arange(3, dtype=np.int8)})
    assert board.sent == {"input0": b"\x00\x01\x02"}


@pytest.mark.parametrize(
    ("size", "ranks"), [(5, None), (6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (100, (40, 61))]
)
def test_the_interval_is_that_of_the_tables(size, ranks):
    """Le Boudec, Performance Evaluation of Computer and Communication Systems, table A.1."""
    from octavo.compiler.devices.median import median_interval

    values = list(range(size, 0, -1))
    assert median_interval(values) == ranks
