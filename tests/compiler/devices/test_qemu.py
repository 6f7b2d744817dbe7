"""Artifacts of another architecture run under its emulator, or say in one line why not."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from octavo.compiler.devices import DEVICES
from octavo.compiler.devices.inference import input_names, run_inference
from octavo.compiler.devices.qemu import emulator_command
from octavo.compiler.machine_code import refuse_foreign_code
from octavo.compiler.session import load
from octavo.errors import ArtifactError, DataError, DeviceError, TargetError
from octavo.targets import PRODUCTS, TARGETS
from octavo.targets.base import Emulator

QEMU = DEVICES["qemu"]


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_foreign_artifact_computes_the_same(
    emulator, foreign_artifact, example, num_threads
):
    inputs, expected = example
    outputs = run_inference(QEMU, foreign_artifact, inputs, num_threads=num_threads)
    assert list(outputs) == ["y", "w"]
    np.testing.assert_array_equal(outputs["y"], expected)
    np.testing.assert_array_equal(outputs["y"] - 2 * outputs["w"], inputs["x:0"].ravel())


def test_wrong_inputs_are_refused_before_anything_runs(foreign_artifact, example):
    x = example[0]["x:0"]
    for inputs, message in (
        ({}, "no input 'x:0'"),
        ({"z": x, "x:0": x}, "unknown input 'z'"),
        ({"x:0": x.astype(np.int16)}, "is int16"),
        ({"x:0": x.ravel()}, r"the model takes int8 \(10, 100\)"),
    ):
        with pytest.raises(DataError, match=message):
            run_inference(QEMU, foreign_artifact, inputs)
    assert input_names(foreign_artifact) == ("x:0",)


def test_a_missing_emulator_is_named_with_its_package(foreign_artifact, example, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(DeviceError, match=r"qemu-aarch64.*package: qemu-user") as caught:
        run_inference(QEMU, foreign_artifact, example[0])
    assert caught.value.exit_code == 4


def test_a_run_that_takes_too_long_is_ended(emulator, foreign_artifact, example):
    with pytest.raises(DeviceError, match=r"did not end within 0\.01 s"):
        run_inference(QEMU, foreign_artifact, example[0], timeout_s=0.01)


def test_a_cpu_without_the_instructions_says_so(
    emulator, foreign_artifact, example, monkeypatch
):
    old = replace(
        TARGETS["arm64-dotprod"], emulator=Emulator(program=emulator, cpu="cortex-a53"))
    monkeypatch.setitem(TARGETS, "arm64-dotprod", old)
    with pytest.raises(DeviceError, match="prepare: this CPU lacks instructions"):
        run_inference(QEMU, foreign_artifact, example[0])


def test_a_crash_names_the_signal(emulator, foreign_artifact):
    with QEMU.deploy(foreign_artifact) as deployment:
        script = deployment.folder / "crash.sh"
        script.write_text("#!/bin/sh\necho half >&2\nkill -SEGV $$\n")
        script.chmod(0o755)
        crashing = replace(deployment, command=(str(script),))
        with pytest.raises(DeviceError, match=r"qemu: the program crashed: SIGSEGV$"):
            crashing.run([])
        with pytest.raises(DeviceError, match="output7"):
            deployment.fetch("output7")
        with pytest.raises(DeviceError, match="cannot run the program"):
            replace(deployment, command=("/nowhere/qemu",)).run([])


def test_a_changed_artifact_does_not_run(foreign_artifact, example, tmp_path):
    shutil.copytree(foreign_artifact, tmp_path / "a")
    (tmp_path / "a" / "bench").write_bytes(b"\x7fELF")
    with pytest.raises(ArtifactError, match="changed after the artifact was built"):
        run_inference(QEMU, tmp_path / "a", example[0])


def test_a_target_without_emulator_is_sent_elsewhere(add_artifact, example):
    with pytest.raises(TargetError, match=r"nothing emulates x86-64: .*--device local"):
        emulator_command(TARGETS["x86-64"])
    with pytest.raises(TargetError, match="the GPU of mali-g715 is not emulated"):
        emulator_command(PRODUCTS["mali-g715"])
    with pytest.raises(TargetError, match="unknown target 'test-host'"):
        run_inference(QEMU, add_artifact, example[0])


def test_the_local_device_runs_what_this_machine_runs(add_artifact, example):
    inputs, expected = example
    outputs = run_inference(DEVICES["local"], add_artifact, inputs)
    np.testing.assert_array_equal(outputs["y"], expected)


def test_foreign_code_is_not_loaded_here(foreign_artifact, example):
    for run in (load, lambda folder: run_inference(DEVICES["local"], folder, example[0])):
        with pytest.raises(TargetError, match=r"arm64-dotprod.*--device qemu") as caught:
            run(foreign_artifact)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "way"),
    [("pixel-8", "--device qemu"), ("mali-g715", "adb:SERIAL"), ("?", "ssh://HOST")],
)
def test_foreign_code_says_what_runs_it(tmp_path, target, way):
    (tmp_path / "bench").write_bytes(b"\x7fELF" + bytes(16))
    with pytest.raises(TargetError, match=way):
        refuse_foreign_code(tmp_path / "bench", {"target": target})
