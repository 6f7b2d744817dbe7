"""Tuning as a part of a compilation: what is measured is used by this and later ones."""

import numpy as np
import onnx
import pytest
from tests.compiler.lowering.qdq_builder import GraphBuilder

from octavo.compiler.cli import main
from octavo.compiler.compile import compile_model
from octavo.compiler.measurements.database import FILE_NAME
from octavo.compiler.session import load
from octavo.compiler.tuning import stage
from octavo.compiler.tuning.options import TuningOptions, check_tunable
from octavo.compiler.tuning.store import TuningStore
from octavo.errors import StoreError, TargetError
from octavo.targets import get_target, host


@pytest.fixture
def cache(tmp_path, monkeypatch, shared_cache):
    """A cache folder of this test alone, but for the compiled runtime."""
    folder = tmp_path / "cache"
    folder.mkdir()
    for part in ("zig", "runtime"):
        (folder / part).symlink_to(shared_cache / part)
    monkeypatch.setenv("OCTAVO_CACHE", str(folder))
    return folder


@pytest.fixture
def model(tmp_path):
    """Two convolutions of different shapes and a pool, which has no schedules."""
    g = GraphBuilder()
    x = g.input("x", (1, 8, 6, 6))
    for channels in (24, 40):
        shape = (channels, 8 if channels == 24 else 24, 1, 1)
        weight = g.constant(np.float32(g.rng.normal(size=shape)))
        x = g.op("Conv", x, weight)
    g.output(g.op("MaxPool", x, kernel_shape=[2, 2]), "y")
    path = tmp_path / "net.onnx"
    onnx.save(g.model(), path)
    return path


@pytest.fixture
def fake_trials(monkeypatch, timing):
    """Time no candidate: the last one of each task is the fastest. The tasks asked for."""
    asked = []

    def make(target, network_bytes):
        assert network_bytes > 0

        def run(candidates):
            asked.extend({c.task.key.operation: c.task for c in candidates}.values())
            return [timing(2.0 - (c.schedule == c.task.schedules[-1])) for c in candidates]

        return run

    monkeypatch.setattr(stage, "Trials", make)
    return asked


def compiled(model, folder, **options):
    result = compile_model(model, "host", folder, float_only=True, **options)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return result, files, [step["tuned"] for step in result.manifest["steps"]]


def test_a_later_compilation_takes_what_was_measured(cache, model, fake_trials, tmp_path):
    _, untuned, flags = compiled(model, tmp_path / "untuned")
    assert not any(flags)
    assert not (cache / FILE_NAME).exists(), "nothing was measured, so there is no store"
    first, tuned, flags = compiled(model, tmp_path / "tuned", tune=True)
    scheduled = [step for step in first.manifest["steps"] if step["schedule"]]
    assert sum(flags) == len(scheduled) == len(fake_trials) == 2
    assert [task.schedules[-1].record() for task in fake_trials][::-1] == [
        step["schedule"] for step in scheduled]
    assert tuned["kernels.o"] != untuned["kernels.o"]
    # The same store gives the same bytes, whether it was filled now or before.
    assert compiled(model, tmp_path / "later")[1] == tuned
    assert compiled(model, tmp_path / "again", tune=True)[1] == tuned
    assert len(fake_trials) == 2, "known kernels were measured again"
    assert compiled(model, tmp_path / "without", use_tuned=False)[1] == untuned
    x = np.random.default_rng(0).normal(size=(1, 8, 6, 6)).astype(np.float32)
    outputs = []
    for name in ("untuned", "tuned"):
        with load(tmp_path / name) as session:
            outputs.append(session.run({"x": x})["y"])
    np.testing.assert_array_equal(*outputs)


def test_choices_of_another_device_are_left(cache, model, fake_trials, tmp_path, monkeypatch):
    compiled(model, tmp_path / "tuned", tune=True)
    context = stage.this_context(get_target("host"))
    other = type(context)(context.code, "another CPU", context.toolchain)
    monkeypatch.setattr(stage, "this_context", lambda target: other)
    assert not any(compiled(model, tmp_path / "there")[2])


def test_a_damaged_store_costs_its_choices_and_no_more(cache, model, tmp_path):
    (cache / FILE_NAME).write_text("not a store")
    result, _, flags = compiled(model, tmp_path / "out")
    assert not any(flags)
    (note,) = result.notes
    assert "no measured schedules were used" in note
    assert "\n" not in note
    assert result.manifest["metadata"]["notes"] == []
    with pytest.raises(StoreError):
        compiled(model, tmp_path / "tuned", tune=True)
    assert not (tmp_path / "tuned").exists()
    assert compiled(model, tmp_path / "without", use_tuned=False)[0].notes == ()


def test_the_command_tells_of_tuning(cache, model, fake_trials, tmp_path, capfd):
    command = ["compile", str(model), "--target", "host", "--float-only"]
    assert main([*command, "-o", str(tmp_path / "a"), "--tune"]) == 0
    assert "2 of 2 kernels tuned on this machine" in capfd.readouterr().out
    assert main([*command, "-o", str(tmp_path / "b")]) == 0
    assert "2 of 2 kernels tuned on this machine" in capfd.readouterr().out
    assert main([*command, "-o", str(tmp_path / "c"), "--no-tuned"]) == 0
    assert "tuned" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tune", "--no-tuned"], "--no-tuned"),
        (["--tune-seconds", "5"], "--tune"),
        (["--tune", "--tune-seconds", "0"], "0"),
    ],
)
def test_options_that_contradict_each_other_end_with_2(model, tmp_path, capfd, options, words):
    command = ["compile", str(model), "--target", "host", "-o", str(tmp_path / "out")]
    assert main([*command, *options]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


def test_only_what_this_cpu_runs_can_be_tuned(monkeypatch, model, tmp_path, capfd):
    monkeypatch.setattr(host, "cpu_flags", lambda path: frozenset({"sse4_2"}))
    with pytest.raises(TargetError, match=r"x86-64-avx2: it lacks abm, avx, avx2"):
        check_tunable(get_target("x86-64-avx2"))
    command = ["compile", str(model), "--target", "x86-64-avx512vnni", "--tune"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 2
    assert "avx512_vnni" in capfd.readouterr().err


def test_a_target_of_another_system_cannot_be_tuned(monkeypatch):
    monkeypatch.setattr(host, "host_target", lambda: None)
    with pytest.raises(TargetError, match="does not run code for x86-64"):
        check_tunable(get_target("x86-64"))


def test_programs_cannot_contradict_themselves_either():
    with pytest.raises(ValueError, match="use_tuned"):
        TuningOptions(measure=True, reuse=False)
    with pytest.raises(ValueError, match="tune_seconds"):
        TuningOptions(budget_s=5.0)


def test_what_time_did_not_suffice_for_is_said(cache, model, fake_trials, tmp_path):
    result, _, flags = compiled(model, tmp_path / "out", tune=True, tune_seconds=1e-9)
    assert not any(flags)
    assert "2 of 2 kernels" in result.notes[0]
    with TuningStore(cache / FILE_NAME) as store:
        assert store.trials() == []
