"""Times of programs as the database knows them: those that were measured together."""

import pytest

from octavo.compiler.explain.program_steps import ProgramStep
from octavo.compiler.explain.step_times import StepTime, explained_key, known_times, total
from octavo.compiler.measurements.key import Context, TuningKey
from octavo.compiler.measurements.latencies import KernelLatency, LatencyStore
from octavo.compiler.roofline.machine import Machine

KEY = "explain-0123"
STEPS = tuple(
    ProgramStep(i, name, ("Conv",), (name,), "int8", "conv.4x16", f'{{"x":{i}}}', "null")
    for i, name in enumerate("ab"))
PROGRAMS = [STEPS, STEPS[:1]]


def row(place, latency_us, key=KEY, begun="20260101T000000"):
    context = Context("isa", "cpu", "toolchain", 1)
    return KernelLatency(
        TuningKey("conv.4x16", "{}", context), None, latency_us, latency_us - 1,
        latency_us + 1, latency_us + 2, 9, f"2026-01-{latency_us:02}T00:00:00+00:00",
        f"{key}-{begun}-{place}")  # fmt: skip


@pytest.fixture
def store(tmp_path):
    with LatencyStore(tmp_path / "measurements.sqlite") as store:
        yield store


def times(found):
    return [[t.latency_us for t in program.steps] for program in found]


def test_every_step_of_every_program(store):
    store.add([row("0-0", 5), row("0-1", 7), row("1-0", 3)])
    found = known_times(store, KEY, PROGRAMS)
    assert times(found) == [[5, 7], [3]]
    assert found[0].steps[0] == StepTime(5, 4, 6)
    assert found[0].measured_at.startswith("2026-01-03")
    assert not found[0].is_new
    assert total(found[0].steps, STEPS) == StepTime(12, 10, 14)


def test_a_missing_step_makes_it_unknown(store):
    store.add([row("0-0", 5), row("1-0", 3)])
    assert known_times(store, KEY, PROGRAMS) is None
    assert times(known_times(store, KEY, [STEPS[:1], STEPS[:1]])) == [[5], [3]]


def test_steps_of_another_artifact_or_machine_do_not_count(store):
    store.add([row("0-0", 5), row("0-1", 7), row("1-0", 3, key="explain-4567")])
    assert known_times(store, KEY, PROGRAMS) is None


def test_the_newest_that_was_measured_together(store):
    store.add([row(p, 5, begun="20260102T000000") for p in ("0-0", "0-1", "1-0")])
    store.add([row(p, 6, begun="20260101T000000") for p in ("0-0", "0-1", "1-0")])
    # The newest of all is not complete.
    store.add([row("0-0", 4, begun="20260103T000000")])
    assert times(known_times(store, KEY, PROGRAMS)) == [[5, 5], [5]]


def test_keys_differ_where_times_would():
    manifest = {"files": {"model.int8.onnx": "abc"}, "steps": [{"a": 1}]}
    other = manifest | {"steps": [{"a": 2}]}
    machine = Machine("cpu", ("avx2",), ((1, 32768),))
    keys = {
        explained_key(manifest, machine, 1), explained_key(other, machine, 1),
        explained_key(manifest, machine, 2), explained_key(manifest, machine, 1)}
    assert len(keys) == 3
