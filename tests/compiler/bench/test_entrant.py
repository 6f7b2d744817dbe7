"""A contestant's process: what crashes, hangs or cannot load is a line, and leaves nothing."""

import os
import signal

import numpy as np
import onnx
import pytest
from onnx import parser

from octavo.compiler.bench.contestant import Contestant, Runtime
from octavo.compiler.bench.contestant_process import Turn
from octavo.compiler.bench.entrant import Entrant
from octavo.compiler.bench.turns import TurnPlan, leave_out_slower, measure_in_turns
from octavo.compiler.devices.latency import DeviceTimes
from octavo.compiler.devices.measurement import Round

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
twice (float[2] x, float[2] unused) => (float[2] y) { y = Add (x, x) }
"""
INPUTS = ({"x": np.float32([1, 2])}, {"x": np.float32([3, 4])})


@pytest.fixture
def path(tmp_path):
    model = parser.parse_model(MODEL)
    del model.graph.input[1]
    onnx.save(model, tmp_path / "twice.onnx")
    return tmp_path / "twice.onnx"


@pytest.fixture
def start():
    """Starts contestants of ONNX Runtime, and ends them."""
    entrants = []

    def start(path, inputs=INPUTS, **options):
        contestant = Contestant(runtime=Runtime.ONNXRUNTIME, precision="float32", path=path)
        entrants.append(Entrant(contestant, 1, inputs, **options))
        return entrants[-1]

    yield start
    for entrant in entrants:
        entrant.close()


def test_loads_runs_every_input_and_takes_turns(start, path):
    entrant = start(path, cpus=sorted(os.sched_getaffinity(0))[:1])
    entrant.load()
    assert entrant.problem == ""
    assert [list(outputs["y"]) for outputs in entrant.loaded.outputs] == [[2, 4], [6, 8]]
    found = entrant.take_turn(Turn(burst=5))
    assert found.times.runs_us.shape == (5,)
    assert found.disturbance.computed_s > 0
    assert entrant.measurement.rounds == (found,)
    entrant.take_turn(Turn(burst=1), is_kept=False)
    assert entrant.measurement.rounds == (found,)


def test_what_cannot_be_loaded_says_why(start, tmp_path):
    entrant = start(tmp_path / "none.onnx")
    entrant.load()
    assert entrant.loaded is None
    assert not entrant.is_going
    assert "none.onnx" in entrant.problem
    assert "\n" not in entrant.problem


def test_what_hangs_is_ended(start, tmp_path):
    os.mkfifo(tmp_path / "silent.onnx")  # opening it waits for a writer
    entrant = start(tmp_path / "silent.onnx")
    entrant.load(limit_s=1.0)
    assert entrant.problem == "it did not answer within 1 s"


def test_one_that_crashes_drops_out_and_the_others_go_on(start, path):
    entrants = [start(path), start(path)]
    for entrant in entrants:
        entrant.load()
    measure_in_turns(entrants, TurnPlan(rounds=2, warmup=1), 1)
    os.killpg(entrants[0]._child.pid, signal.SIGSEGV)
    measure_in_turns(entrants, TurnPlan(rounds=1, warmup=0), 1)
    assert entrants[0].problem == "its process ended by SIGSEGV"
    assert [len(entrant.measurement.rounds) for entrant in entrants] == [2, 3]


def test_the_slower_of_one_kind_is_left_out(start, path):
    entrants = [start(path), start(path), start(path)]
    for entrant in entrants[:2]:
        entrant.load()
    slow = DeviceTimes(np.array([1e9, 2e9]), np.empty((0, 0)))
    entrants[0].take_turn = lambda turn, is_kept: Round(slow)
    leave_out_slower([entrants, [entrants[1]]], 1)
    assert [entrant.lost is None for entrant in entrants] == [False, True, True]
    assert entrants[0].lost.fastest_us == 1e9
    assert entrants[0].lost.ratio > 1000
    assert [entrant.is_going for entrant in entrants] == [False, True, False]
    assert entrants[1].measurement.rounds == ()
    assert entrants[0].problem == ""


def test_rounds_end_with_the_time(start, path):
    entrant, ended = start(path), []
    entrant.load()
    measure_in_turns([entrant], TurnPlan(seconds=0.0), 1, ended.append)
    assert ended == [1]
