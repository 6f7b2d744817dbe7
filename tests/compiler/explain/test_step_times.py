"""Times of programs as the database knows them."""

from dataclasses import replace

import pytest

from octavo.compiler.explain.program_steps import ProgramStep
from octavo.compiler.explain.step_times import StepTime, known_times, total
from octavo.compiler.measurements.key import Context, TuningKey
from octavo.compiler.measurements.latencies import KernelLatency, LatencyStore

HERE = Context("isa", "cpu", "toolchain", 1)
STEPS = (
    ProgramStep(0, "a", ("Conv",), ("a",), "int8", "conv.4x16", '{"x":1}', '{"rows":4}'),
    ProgramStep(1, "b", ("Conv",), ("b",), "int8", "conv.4x16", '{"x":2}', '{"rows":4}'),
)


def row(step, latency_us, day=1, context=HERE, schedule=None):
    return KernelLatency(
        TuningKey(step.variant, step.operation, context), schedule or {"rows": 4},
        latency_us, latency_us - 1, latency_us + 1, latency_us + 2, 9,
        f"2026-01-{day:02}T00:00:00+00:00")  # fmt: skip


@pytest.fixture
def store(tmp_path):
    with LatencyStore(tmp_path / "measurements.sqlite") as store:
        yield store


def test_the_newest_of_each_step(store):
    store.add([row(STEPS[0], 5, day=2), row(STEPS[0], 4, day=1), row(STEPS[1], 7, day=3)])
    (found,) = known_times(store, [(STEPS, HERE)])
    assert [t.latency_us for t in found.steps] == [5, 7]
    assert found.steps[0] == StepTime(5, 4, 6)
    assert found.measured_at.startswith("2026-01-02")
    assert not found.is_new
    assert total(found.steps, STEPS) == StepTime(12, 10, 14)


@pytest.mark.parametrize("other", [
    {"context": replace(HERE, device="another")},
    {"context": replace(HERE, num_threads=2)},
    {"schedule": {"rows": 5}},
])  # fmt: skip
def test_what_was_measured_otherwise_does_not_count(store, other):
    store.add([row(STEPS[0], 5), row(STEPS[1], 5, **other)])
    assert known_times(store, [(STEPS, HERE)]) is None
    assert known_times(store, [(STEPS[:1], HERE)]) is not None


def test_all_programs_or_none(store):
    later = replace(HERE, toolchain="newer")
    store.add([row(STEPS[0], 5)])
    programs = [(STEPS[:1], HERE), (STEPS[:1], later)]
    assert known_times(store, programs) is None
    store.add([row(STEPS[0], 3, context=later)])
    first, second = known_times(store, programs)
    assert (first.steps[0].latency_us, second.steps[0].latency_us) == (5, 3)


def test_steps_without_an_operation_are_not_known(store):
    assert known_times(store, [((replace(STEPS[0], operation=""),), HERE)]) is None
