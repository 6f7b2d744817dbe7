"""Two small models, the C SDK and the AAR made of them, and a network for pictures."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

import octavo
from octavo.compiler.artifact import write_artifact
from octavo.compiler.package.android.aar import package_android, weights_assets
from octavo.compiler.package.android.java_classes import compile_java, stubs_folder
from octavo.compiler.package.android.jni_library import JNI_LIBRARY, compile_jni, link_jni
from octavo.compiler.package.c_sdk import package_c
from octavo.compiler.package.libraries import build_objects
from octavo.compiler.package.models import collect_models
from octavo.targets import get_target

INPUT = (np.arange(1000) * 7).astype(np.int8)
CONSTANTS = {"tiny": 1, "other": 5}
JAVA = Path(__file__).parent / "java"
DIGITS = Path(__file__).resolve().parents[3] / "examples" / "digits"


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


@pytest.fixture(scope="session")
def aar(make_artifact, tmp_path_factory):
    for tool in ("java", "javac"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}, of default-jdk-headless")
    artifacts = [make_artifact(name, "android-x86-64") for name in ("tiny", "other")]
    return package_android(artifacts, tmp_path_factory.mktemp("aar") / "aar").aar


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A network that classifies pictures of 8 x 8 grey levels, for this machine."""
    folder = tmp_path_factory.mktemp("digits") / "digits"
    with np.load(DIGITS / "calibration.npz") as samples:
        calibration = {name: samples[name][:32] for name in samples}
    octavo.compile(DIGITS / "digits.onnx", "host", folder, samples=calibration)
    return folder


@pytest.fixture(scope="session")
def machine(aar, artifacts, digits, tmp_path_factory):
    """A folder with the AAR's classes, the checks and the library, built for this machine."""
    folder = tmp_path_factory.mktemp("java")
    with zipfile.ZipFile(aar) as archive:
        archive.extract("classes.jar", folder)
    sources = [JAVA, stubs_folder(), aar.parent / "sample"]
    (folder / "checks").mkdir()
    compile_java(sources, folder / "checks", classes=folder / "classes.jar")
    (models,) = collect_models([*artifacts, digits]).values()
    objects = build_objects(models[0].target, models, folder / "objects")
    assets = weights_assets({"host": models})["host"]
    link_jni(objects, compile_jni(objects, assets), folder / JNI_LIBRARY)
    return folder
