"""The same program, built for another architecture and run under its emulator."""

import shutil
import subprocess

import numpy as np
import pytest

from octavo.compiler.artifact import write_artifact
from octavo.targets.base import Target


@pytest.mark.slow
def test_an_aarch64_artifact_computes_the_same(make_add_program, tmp_path):
    if shutil.which("qemu-aarch64") is None:
        pytest.skip("needs qemu-aarch64")
    target = Target(
        name="test-aarch64",
        description="Emulated.",
        triple="aarch64-linux-gnu",
        cpu="generic",
        features=("+dotprod",),
        zig_target="aarch64-linux-musl",  # static programs: no foreign C library
        isa="portable",
    )
    manifest = write_artifact(make_add_program(), target, None, tmp_path / "a")
    assert manifest["target_details"]["cpu_features"] == ["dotprod"]
    x = np.arange(1000, dtype=np.int32).astype(np.int8)
    x.tofile(tmp_path / "x")
    tensors = ["--input", f"x:0={tmp_path / 'x'}", "--output", f"y={tmp_path / 'y'}"]
    command = ["qemu-aarch64", "-cpu", "max", tmp_path / "a" / "bench", "--threads", "2"]
    subprocess.run([*command, *tensors], check=True, capture_output=True)
    weights = np.arange(1000).astype(np.int8) + np.int8(1)
    assert (np.fromfile(tmp_path / "y", np.int8) == x + 2 * weights).all()
    # A CPU without the dot product is told so, in one line.
    old = ["qemu-aarch64", "-cpu", "cortex-a53", tmp_path / "a" / "bench"]
    result = subprocess.run(old, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == (
        "bench: prepare: this CPU lacks instructions that the program was built for\n"
    )
