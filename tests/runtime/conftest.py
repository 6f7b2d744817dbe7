"""Builds of the C runtime that its tests share."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RUNTIME = REPOSITORY / "runtime"


def _run(command, **options):
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="session")
def run():
    """Run a command that must succeed; its standard output."""
    return _run


@pytest.fixture(scope="session")
def gcc():
    path = shutil.which("gcc")
    if path is None:
        pytest.skip("needs gcc")
    return path


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory):
    """What checks.c expects: int32 0, 1, 2, ... and 64 bytes of slack."""
    path = tmp_path_factory.mktemp("weights") / "weights.bin"
    path.write_bytes(np.arange(1024, dtype="<i4").tobytes() + bytes(64))
    return path


@pytest.fixture(scope="session")
def build_checks(gcc, tmp_path_factory):
    """Function: flags to the path of a test program that was built with them."""
    built = {}

    def build(*flags):
        if flags not in built:
            path = tmp_path_factory.mktemp("checks") / "checks"
            sources = [
                *sorted((RUNTIME / "src").glob("*.c")),
                REPOSITORY / "tests/runtime/checks.c",
            ]
            compiler = [gcc, "-std=c11", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]
            include = f"-I{RUNTIME / 'include'}"
            _run([*compiler, *flags, include, *sources, "-o", path])
            built[flags] = path
        return built[flags]

    return build
