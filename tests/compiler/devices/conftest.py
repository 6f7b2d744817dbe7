"""The small program of the compiler tests, and devices to run it on."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.compiler.devices.android import connect
from tests.compiler.devices.sshd import missing_programs, serve

from octavo.compiler.artifact import write_artifact
from octavo.compiler.devices import find_device
from octavo.targets import TARGETS, get_target

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


@pytest.fixture(scope="session")
def host_artifact(tmp_path_factory, make_add_program) -> Path:
    """``y = x + w + w`` for this machine; tests must not change it."""
    folder = tmp_path_factory.mktemp("host") / "tiny"
    write_artifact(make_add_program(), get_target("host"), None, folder)
    return folder


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory):
    """A server of this machine, for this machine."""
    if missing := missing_programs():
        pytest.skip(f"needs {', '.join(missing)} (Debian packages openssh-server, procps)")
    with serve(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def ssh(ssh_server, monkeypatch):
    """The server as a device."""
    monkeypatch.setenv("OCTAVO_SSH_COMMAND", ssh_server.client)
    return find_device(ssh_server.address)


@pytest.fixture
def android(tmp_path, monkeypatch) -> Path:
    """An Android device, PIXEL8: the folder that stands in for it."""
    return connect(tmp_path / "android", monkeypatch)
