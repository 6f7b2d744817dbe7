"""The order of measuring and choosing, on a machine whose times were made up."""

import math

import numpy as np
import pytest

from octavo.compiler.devices.latency import DeviceTimes
from octavo.compiler.devices.measurement import Measurement, Round
from octavo.compiler.devices.median import MIN_VALUES
from octavo.compiler.lowering.kernel_call import model_choice
from octavo.compiler.lowering.program import Program, Step
from octavo.compiler.selection.candidates import FLOAT32, INT8, Candidate
from octavo.compiler.selection.costs import conversion, is_below_zero
from octavo.compiler.selection.layers import IntegerTensor, Layer, LayerGraph
from octavo.compiler.selection.select import Selector
from octavo.errors import DeviceError, LoweringError

CONVERSION_US = 3.0
FIRST, OTHER = Candidate("int8", INT8, model_choice), Candidate("int8 b", INT8, model_choice)
FLOAT = Candidate("float32", FLOAT32, model_choice)


def chain(count):
    names = [f"l{i}" for i in range(count)]
    tensors = [IntegerTensor("t0", 8, None, ("l0",))]
    tensors += [IntegerTensor(f"t{i + 1}", 8, n, names[i + 1 : i + 2], i + 1 == count)
                for i, n in enumerate(names)]
    nodes = {t.name: t.name for t in tensors}
    return LayerGraph(tuple(Layer(n, ("Conv",), (n,)) for n in names), tuple(tensors), nodes)


class FakeMachine:
    """Lowers to one step for each layer and conversion, and knows what each takes."""

    def __init__(self, graph, times_us, broken=()):
        self.graph, self.times_us, self.broken = graph, times_us, broken
        self.programs, self.measured = [], []

    def lower(self, assignment):
        if any(c.name in self.broken for c in assignment.values()):
            raise LoweringError("there is no such kernel")
        steps = [self._step(n, assignment[n].name) for n in assignment]
        steps += [self._step(t.name, kind) for t in self.graph.tensors
                  if (kind := conversion(t, assignment))]
        return Program("net", "host", [], [], steps, {})

    @staticmethod
    def _step(node, variant):
        return Step(node, "k", (), ("Conv",), (node,), "int8", variant)

    def step_us(self, step):
        if step.name.startswith("t"):
            return CONVERSION_US
        return self.times_us[step.name][step.variant]

    def add(self, program):
        self.programs.append(program)
        return len(self.programs) - 1

    def measure(self, numbers, *, with_steps=True):
        self.measured.append(tuple(numbers))
        return [self._measurement(self.programs[n]) for n in numbers]

    def _measurement(self, program):
        steps_us = [self.step_us(step) for step in program.steps]
        if math.inf in steps_us:
            return Measurement(failure="it crashed")
        times = DeviceTimes(np.full(3, sum(steps_us)), np.outer(steps_us, np.ones(3)))
        return Measurement((Round(times),) * MIN_VALUES)


@pytest.fixture
def select():
    def run(times_us, broken=(), builds=None, forecast=lambda: None):
        candidates = (FIRST, OTHER, FLOAT)
        graph = chain(len(times_us))
        table = {f"l{i}": dict(zip(("int8", "int8 b", "float32"), row, strict=True))
                 for i, row in enumerate(times_us)}
        machine = FakeMachine(graph, table, broken)
        made = {name: (lambda us=us: machine.lower_build(us)) for name, us in
                (builds or {}).items()}
        machine.lower_build = lambda us: Program(
            "net", "host", [], [], [Step("whole", "k", (), (), (), "float32", "whole")], {})
        for us in (builds or {}).values():
            table["whole"] = {"whole": us}
        selector = Selector(graph, candidates, machine.lower, machine, made, forecast)
        return selector.run(), machine

    return run


def names(selection):
    return [c.name for c in selection.chosen.assignment.values()]


def test_every_layer_takes_what_is_fastest_for_it(select):
    selection, _ = select([(10, 5, 50), (10, 20, 50), (30, 31, 90)])
    assert names(selection) == ["int8 b", "int8", "int8"]
    assert selection.chosen.latency_us == pytest.approx(5 + 10 + 30 + 2 * CONVERSION_US)


def test_float_is_taken_where_it_pays_with_its_conversions(select):
    # 40 us are won, 4 conversions' worth is at most spent.
    selection, _ = select([(10, 10, 50), (60, 70, 20), (10, 10, 50)])
    assert names(selection) == ["int8", "float32", "int8"]
    # Its first guess is that conversions cost next to nothing: it is tried, and measured.
    tempted, machine = select([(10, 10, 50), (24, 24, 20), (10, 10, 50)])
    assert names(tempted) == ["int8", "int8", "int8"]
    assert len(machine.programs) == 4


def test_gains_by_chance_do_not_count(select):
    selection, machine = select([(10, 9.95, 50), (10, 10, 50)])
    assert set(selection.solution.options.values()) == {"int8"}
    assert len(machine.programs) == 3  # nothing new to build


def test_what_cannot_be_built_or_crashes_is_left_out(select):
    selection, _ = select([(10, 5, 1), (10, 5, 1)], broken=("float32",))
    assert names(selection) == ["int8 b", "int8 b"]
    assert selection.uniform[2].measurement.failure == "there is no such kernel"
    crashing, _ = select([(10, math.inf, 4), (10, 5, 4)])
    assert names(crashing) == ["float32", "float32"]
    with pytest.raises(DeviceError, match="it crashed"):
        select([(math.inf, 5, 4)])


def test_it_never_loses_to_the_float_build(select):
    times_us = [(10, 10, 50), (10, 10, 50)]
    selection, _ = select(times_us, builds={"float32 build": 12.0})
    assert selection.chosen.name == "float32 build"
    assert selection.chosen.assignment is None
    slower, _ = select(times_us, builds={"float32 build": 100.0})
    assert slower.chosen.name == "int8"


def test_finalists_are_measured_side_by_side_in_the_end(select):
    selection, machine = select([(10, 5, 50), (10, 20, 50)], builds={"float32 build": 100.0})
    assert set(machine.measured[-1]) == {0, 1, 2, 3, 4}
    assert {t.name for t in selection.finalists} == {
        "float32 build", "int8", "int8 b", "float32", "selected 1"}


def test_what_a_forecast_rules_out_for_every_layer_is_not_measured(select):
    def forecast(program):
        return [0.9 * step_us for step_us in lowest[program.steps[0].variant]]

    lowest = {"int8 b": (4, 20, 3, 3), "float32": (50, 50)}
    selection, machine = select([(10, 5, 50), (10, 20, 50)], forecast=lambda: forecast)
    assert [t.measurement.failure for t in selection.uniform] == [
        "", "", "not measured: predicted to be slower for every layer"]
    assert names(selection) == ["int8 b", "int8"]
    assert len(machine.programs) == 3
    lowest["float32"] = (50, 5)  # it may win one layer
    assert len(select([(10, 5, 50), (10, 20, 50)], forecast=lambda: forecast)[1].programs) == 4
    _, unsure = select([(10, 5, 50), (10, 20, 50)], forecast=lambda: lambda _: None)
    assert len(unsure.programs) == 4


def test_noise_changes_nothing():
    """Differences of the same size in both directions are no reason to leave the usual way."""
    graph, rng = chain(6), np.random.default_rng(0)
    table = {f"l{i}": {"int8": 10.0, "int8 b": 10.0, "float32": 10.0} for i in range(6)}

    class NoisyMachine(FakeMachine):
        def _measurement(self, program):
            rounds = []
            for _ in range(12):
                steps_us = [self.step_us(s) * (1 + 0.1 * rng.normal()) for s in program.steps]
                times = DeviceTimes(np.full(3, sum(steps_us)), np.outer(steps_us, np.ones(3)))
                rounds.append(Round(times))
            return Measurement(tuple(rounds))

    left = 0
    for _ in range(20):
        machine = NoisyMachine(graph, table)
        selection = Selector(graph, (FIRST, OTHER), machine.lower, machine).run()
        left += sum(c is not FIRST for c in selection.chosen.assignment.values())
    # 120 layers, each with another kernel that is taken for better in 2.5% of cases.
    assert left <= 0.025 * 120 + 3 * np.sqrt(0.025 * 120)


@pytest.mark.parametrize(
    ("differences", "is_sure"),
    [
        ([-1.0] * 6, True),
        ([-1.0] * 5 + [1.0], False),
        ([-1.0] * 9 + [1.0], True),
        ([-1.0, -2.0, -1.0], True),
        ([-1.0, -2.0, 1.0], False),
        ([-1.0, -1.0], False),
        ([], False),
    ],
)
def test_sure_is_what_nearly_all_rounds_agree_on(differences, is_sure):
    assert is_below_zero(differences) == is_sure


def test_a_device_that_goes_away_in_the_middle_is_an_error():
    graph = chain(2)
    table = {f"l{i}": {"int8": 10.0, "int8 b": 5.0, "float32": 10.0} for i in range(2)}

    class LostMachine(FakeMachine):
        def measure(self, numbers, *, with_steps=True):
            if self.measured:
                return [Measurement(failure="phone: no answer within 3 s") for _ in numbers]
            return super().measure(numbers, with_steps=with_steps)

    machine = LostMachine(graph, table)
    with pytest.raises(DeviceError, match="phone: no answer"):
        Selector(graph, (FIRST, OTHER), machine.lower, machine).run()
