"""Two small models, and the C SDK that is made of them."""

import subprocess

import numpy as np
import pytest

from octavo.compiler.artifact import write_artifact
from octavo.compiler.package.c_sdk import package_c
from octavo.targets import get_target

INPUT = (np.arange(1000) * 7).astype(np.int8)
CONSTANTS = {"tiny": 1, "other": 5}


def _run(command, **options):
    result = subprocess.run(command, capture_output=True, check=False, timeout=300, **options)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stderr.decode()}"
    return result.stdout


@pytest.fixture(scope="session")
def run_command():
    """Run a command that must succeed; its standard output, bytes."""
    return _run


@pytest.fixture(scope="session")
def make_artifact(make_add_program, tmp_path_factory):
    """Function: name of a model and of a target to the folder of its artifact."""
    made = {}

    def make(name, target="host"):
        if (name, target) not in made:
            folder = tmp_path_factory.mktemp("artifacts") / f"{name}-{target}"
            program = make_add_program(name, CONSTANTS[name])
            write_artifact(program, get_target(target), None, folder)
            made[name, target] = folder
        return made[name, target]

    return make


@pytest.fixture(scope="session")
def artifacts(make_artifact):
    """Both models for this machine."""
    return [make_artifact(name) for name in CONSTANTS]


@pytest.fixture(scope="session")
def package(artifacts, tmp_path_factory):
    """Their C SDK; tests must not change it."""
    return package_c(artifacts, tmp_path_factory.mktemp("sdk") / "sdk")


@pytest.fixture(scope="session")
def sdk(package):
    """Its folder."""
    return package.directory


@pytest.fixture(scope="session")
def expected():
    """Function: name of a model to the bytes that it makes of ``INPUT``: its outputs y, w."""

    def outputs(name):
        weights = np.arange(1000).astype(np.int8) + np.int8(CONSTANTS[name])
        return (INPUT + 2 * weights).tobytes() + weights.tobytes()

    return outputs
