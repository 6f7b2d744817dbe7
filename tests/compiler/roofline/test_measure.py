"""Measuring: what a probe counts is what it does, and results are kept where they may be."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from octavo.compiler.artifact import write_artifact
from octavo.compiler.roofline import measure
from octavo.compiler.roofline.artifact_peaks import artifact_peaks, manifest_target
from octavo.compiler.roofline.machine import Machine
from octavo.compiler.roofline.measure import find_peaks, fingerprint, measure_peaks
from octavo.compiler.roofline.probe_program import ProbeProgram, stream_sizes
from octavo.errors import ArtifactError, DeviceError
from octavo.targets import TARGETS, get_target
from octavo.targets.instructions import isa_of
from octavo.targets.kernels.probes import stream_step

MACHINE = Machine("a CPU", ("avx2",), ((1, 32 << 10), (2, 1 << 20), (3, 16 << 20)))


@pytest.mark.parametrize("num_threads", [1, 2, 8])
def test_each_level_is_probed_with_what_only_it_holds(num_threads):
    sizes = stream_sizes(MACHINE, num_threads, 512)
    assert [s.name for s in sizes] == ["L1", "L2", "L3", "memory"]
    inner = 0
    for size in sizes[:-1]:
        total = size.task_bytes * num_threads
        assert size.task_bytes % 512 == 0
        assert inner < total <= size.capacity_bytes
        inner = size.capacity_bytes
    assert sizes[-1].capacity_bytes is None
    assert sizes[-1].task_bytes * num_threads >= 4 * (16 << 20)


def test_a_shared_level_smaller_than_what_the_cores_have_is_left_out():
    names = [s.name for s in stream_sizes(MACHINE, 64, 512)]
    assert names == ["L1", "L2", "memory"]


def test_an_unknown_machine_has_main_memory():
    assert [s.name for s in stream_sizes(Machine("", (), ()), 2, 512)] == ["memory"]


@pytest.fixture
def small_machine(monkeypatch):
    """Probes of a moment, so that a test needs no quiet second."""
    monkeypatch.setattr(measure, "NUM_RUNS", 2)
    for name in ("DOT_MACS", "STREAM_BYTES", "MAX_MEMORY_BYTES"):
        monkeypatch.setattr(f"octavo.compiler.roofline.probe_program.{name}", 1 << 20)
    return replace(MACHINE, caches=((1, 8 << 10), (2, 64 << 10)))


@pytest.mark.parametrize("num_threads", [1, 2])
def test_measured_peaks_are_rates_of_every_level(small_machine, num_threads):
    peaks = measure_peaks(small_machine, get_target("x86-64"), num_threads)
    assert (peaks.isa, peaks.num_threads) == ("sse41", num_threads)
    assert [level.name for level in peaks.levels] == ["L1", "L2", "memory"]
    assert [level.capacity_bytes for level in peaks.levels] == [
        (8 << 10) * num_threads, (64 << 10) * num_threads, None
    ]  # fmt: skip
    rates = [peaks.int8, peaks.float32, *(level.rate for level in peaks.levels)]
    assert all(0 < rate.median <= rate.best for rate in rates)
    assert peaks.call_us >= 0
    assert peaks.waited_share >= 0


@pytest.fixture
def counted(monkeypatch, tmp_path, make_peaks):
    """Calls of the measurement, which gives known peaks; an empty cache."""
    calls = []

    def measured(machine, target, num_threads):
        calls.append((target.isa, num_threads))
        return make_peaks(num_threads)

    monkeypatch.setenv("OCTAVO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(measure, "measure_peaks", measured)
    return calls


def test_a_machine_is_measured_once_for_each_kind_of_code_and_threads(counted, make_peaks):
    avx2, sse = get_target("x86-64-avx2"), get_target("x86-64")
    for target, num_threads in ((avx2, 1), (avx2, 2), (sse, 1)) * 2:
        assert find_peaks(target, num_threads) == make_peaks(num_threads)
    assert counted == [("avx2", 1), ("avx2", 2), ("sse41", 1)]
    find_peaks(replace(avx2, name="another name"), 1)
    assert len(counted) == 3
    find_peaks(avx2, 1, again=True)
    assert len(counted) == 4


def test_known_peaks_are_read_without_the_compiler(counted, make_peaks):
    find_peaks(get_target("x86-64"), 1)
    code = (
        "import sys\n"
        "from octavo.compiler.roofline.measure import find_peaks\n"
        "from octavo.targets import get_target\n"
        "assert find_peaks(get_target('x86-64'), 1).int8.best == 400\n"
        "sys.exit(bool({'tvm', 'tvm_ffi'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_a_probe_of_every_peak(name):
    target = get_target(name)
    sizes = stream_sizes(MACHINE, 2, stream_step(isa_of(target)))
    program = ProbeProgram(target, sizes, 2)
    steps = program.build().steps
    has_bfloat16 = "bf16" in target.float_precisions
    assert {p.quantity for p in program.probes} == {
        "int8", "float32", "L1", "L2", "L3", "memory", "call",
        *(["bfloat16"] if has_bfloat16 else []),
    }  # fmt: skip
    products = [p for p in program.probes if steps[p.step].name.startswith("product")]
    assert [p.work for p in products] == [steps[p.step].macs for p in products]


def test_a_damaged_record_is_measured_again(counted, tmp_path):
    target = get_target("x86-64")
    find_peaks(target, 1)
    (record,) = (tmp_path / "cache" / "peaks").glob("*.json")
    record.write_text("{}")
    find_peaks(target, 1)
    assert len(counted) == 2
    assert json.loads(record.read_text())["num_threads"] == 1


def test_what_a_busy_machine_gives_is_not_kept(monkeypatch, counted, make_peaks):
    busy = replace(make_peaks(), waited_share=0.5)
    monkeypatch.setattr(measure, "measure_peaks", lambda *_: counted.append(1) or busy)
    for _ in range(2):
        assert find_peaks(get_target("x86-64"), 1) == busy
    assert len(counted) == 2


def test_the_fingerprint_tells_machines_apart():
    target = get_target("x86-64")
    marks = {
        fingerprint(machine, target, 1)
        for machine in (MACHINE, replace(MACHINE, cpu="b"), replace(MACHINE, flags=()),
                        replace(MACHINE, caches=()))
    }  # fmt: skip
    assert len(marks) == 4


def test_a_process_that_dies_is_an_error_of_the_device(
    monkeypatch, small_machine, make_add_program
):
    def broken(program, target, model, folder):
        manifest = write_artifact(make_add_program(), target, model, folder)
        (folder / "weights.bin").write_bytes(b"")
        return manifest

    monkeypatch.setattr("octavo.compiler.artifact.write.write_artifact", broken)
    with pytest.raises(DeviceError, match=r"peaks failed: .*weights\.bin") as caught:
        measure_peaks(small_machine, get_target("x86-64"), 1)
    assert "\n" not in str(caught.value)


def test_an_artifact_is_held_against_its_own_instructions(counted, add_artifact, host_target):
    from octavo.compiler.artifact import read_manifest

    manifest = read_manifest(add_artifact)
    target = manifest_target(manifest)
    fields = ("triple", "cpu", "features", "zig_target", "isa")
    assert [getattr(target, f) for f in fields] == [getattr(host_target, f) for f in fields]
    assert [p.num_threads for p in artifact_peaks(manifest, 2)] == [1, 2]
    assert [p.num_threads for p in artifact_peaks(manifest, 1)] == [1]
    del manifest["target_details"]
    with pytest.raises(ArtifactError, match="compile again"):
        artifact_peaks(manifest, 1)
