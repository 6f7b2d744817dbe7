"""run: where it runs."""

import shutil

import numpy as np
import pytest

from octavo.compiler.cli.device_option import DEVICE_NAMES
from octavo.compiler.devices import DEVICES


def test_the_option_takes_every_device():
    assert set(DEVICE_NAMES) == set(DEVICES)


def test_an_artifact_of_another_architecture_runs_under_emulation(
    octavo, model, samples, tmp_path
):
    image = np.load(samples)["image"][:1]
    np.savez(tmp_path / "x.npz", image=image)
    results = {}
    for target, device in (("host", "local"), ("arm64-neon", "qemu")):
        compiled = octavo("compile", model, "--target", target, "--data", samples,
                          "-o", tmp_path / target)
        assert compiled.code == 0, compiled.err
        if device == "qemu" and shutil.which("qemu-aarch64") is None:
            pytest.skip("needs qemu-aarch64 (Debian package qemu-user)")
        done = octavo("run", tmp_path / target, "--input", tmp_path / "x.npz",
                      "--device", device, "-o", tmp_path / f"{target}.npz")
        assert done.code == 0, done.err
        results[target] = np.load(tmp_path / f"{target}.npz")["scores"]
    np.testing.assert_array_equal(results["arm64-neon"], results["host"])
    assert len(np.unique(results["host"])) == 3
    refused = octavo("run", tmp_path / "arm64-neon", "--input", tmp_path / "x.npz")
    assert refused.code == 2
    assert "--device qemu" in refused.error_line
