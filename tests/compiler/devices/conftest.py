"""The small program of the compiler tests, built for another architecture."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from octavo.compiler.artifact import write_artifact
from octavo.targets import TARGETS

LENGTH = 1000  # of the program's tensors


@pytest.fixture(scope="session")
def foreign_artifact(tmp_path_factory, make_add_program) -> Path:
    """``y = x + w + w`` for AArch64; tests must not change it."""
    folder = tmp_path_factory.mktemp("foreign") / "tiny"
    write_artifact(make_add_program(), TARGETS["arm64-dotprod"], None, folder)
    return folder


@pytest.fixture(scope="session")
def example():
    """Inputs of the program, and its first output."""
    x = np.arange(LENGTH, dtype=np.int32).astype(np.int8)
    w = np.arange(LENGTH).astype(np.int8) + np.int8(1)
    return {"x:0": x.reshape(10, 100)}, x + 2 * w


@pytest.fixture
def emulator(foreign_artifact):
    """Skip where nothing runs AArch64 programs."""
    if shutil.which("qemu-aarch64") is None:
        pytest.skip("needs qemu-aarch64 (Debian package qemu-user)")
    return "qemu-aarch64"
