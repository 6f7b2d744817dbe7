"""Candidates on this machine: timed side by side, and failing without harm."""

import pytest
from tvm.tirx.script import builder as T

from octavo.compiler.lowering import builder
from octavo.compiler.tuning import trials as trials_module
from octavo.compiler.tuning.trial_program import Candidate, TrialProgram
from octavo.compiler.tuning.trials import Trials
from octavo.targets import vector
from octavo.targets.kernels.conv_gemm import ConvGemm

pytestmark = pytest.mark.slow


class Faulty(ConvGemm):
    """A convolution of which some schedules fail when they run."""

    def __init__(self, faults, schedule=None):
        super().__init__(schedule)
        self.faults = faults

    def with_schedule(self, schedule):
        return Faulty(self.faults, schedule)

    def build(self, op, isa):
        fault = self.faults.get(self.schedule)
        if fault is None:
            return super().build(op, isa)
        sizes = [("x", op.batch * op.in_h * op.in_w * op.in_c, "uint8")]
        sizes += [(f"c{i}", 1, "int32") for i in range(len(self.constants(op, isa, fault[1])))]
        return vector.prim_func([*sizes, ("y", 1, "uint8")], lambda *b: fault[0](b[-1]))


def crash(y):
    T.evaluate(T.call_llvm_intrin("void", "llvm.trap"))


def hang(y):
    with T.serial(0, 1 << 62) as i:
        vector.store(y, 0, vector.cast(i % 251, "uint8", 1) ^ vector.load(y, 0))


def need_much_memory(y):
    much = vector.local(1 << 20, "uint8")
    with T.serial(0, 1 << 20) as i:
        vector.store(much, i, vector.load(y, 0))
    vector.store(y, 0, vector.load(much, vector.cast(vector.load(y, 0), "int32", 1)))


@pytest.fixture
def candidates(task):
    return [Candidate(task, schedule) for schedule in task.schedules]


@pytest.fixture
def make_faulty(task, monkeypatch):
    """Let the second schedule of the task fail."""

    def make(fault):
        faults = {task.schedules[1]: (fault, task.call.arrays)}
        monkeypatch.setattr(builder, "select", lambda op, isa, arrays: Faulty(faults))

    return make


def test_candidates_are_timed_side_by_side(target, candidates):
    timings = Trials(target, network_bytes=1 << 20, seconds=0.2)(candidates)
    assert [timing.error for timing in timings] == [""] * len(candidates)
    assert len({timing.latencies_us.shape for timing in timings}) == 1
    assert all((timing.latencies_us > 0).all() for timing in timings)
    assert timings[0].latencies_us.size >= 40


@pytest.mark.parametrize("network_bytes", [0, 1 << 30])
def test_weights_are_displaced_and_inputs_written_before_each_run(
    target, candidates, network_bytes
):
    trial = TrialProgram(target, min(network_bytes, 2 * target.l2_bytes))
    program = trial.build(candidates)
    displaces = network_bytes > 0
    kinds = [step.variant.split(".")[0] for step in program.steps]
    once = [*["read"] * displaces, "write", "conv_gemm"]
    # Weights and biases of this task are smaller than the read granule or are read first.
    assert [k for k in kinds if k != "read"] == ["write", "conv_gemm"] * len(candidates)
    for at in trial.steps:
        assert kinds[at - len(once) + 1 : at + 1] == once
    sizes = [o.buffer.num_bytes for s in program.steps if s.variant == "read"
             for o in s.operands[:1]]
    assert (2 * target.l2_bytes in sizes) == displaces


def test_a_crash_is_a_value(target, candidates, make_faulty):
    make_faulty(crash)
    timings = Trials(target, network_bytes=0, seconds=0.1)(candidates)
    assert [bool(timing.error) for timing in timings] == [False, True, False]
    assert "-4" in timings[1].error  # SIGILL
    assert timings[1].latencies_us.size == 0


def test_a_candidate_without_end_is_a_value(target, candidates, make_faulty, monkeypatch):
    make_faulty(hang)
    monkeypatch.setattr(trials_module, "TIMEOUT_S", 4.0)
    timings = Trials(target, network_bytes=0, seconds=0.1)(candidates)
    assert [timing.error for timing in timings] == ["", "no end after 4 s", ""]


def test_a_candidate_that_does_not_compile_is_a_value(target, candidates, make_faulty):
    make_faulty(need_much_memory)
    timings = Trials(target, network_bytes=0, seconds=0.1)(candidates)
    assert [bool(timing.error) for timing in timings] == [False, True, False]
    assert "local memory" in timings[1].error
