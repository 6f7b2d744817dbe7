"""Commands on an artifact that has a static library only, for an app."""

import json

import numpy as np
import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder to compile into once; tests only read it."""
    return tmp_path_factory.mktemp("compiled") / "tiny"


@pytest.fixture
def artifact(octavo, folder, model, samples):
    if not folder.exists():
        command = ["compile", model, "--target", "ios-arm64", "--data", samples, "-o", folder]
        outcome = octavo(*command)
        assert outcome.code == 0, outcome.err
        said = " ".join(outcome.out.split())
        assert "ios-arm64 has no shared library and no bench program" in said
    return folder


@pytest.fixture
def one_input(tmp_path):
    path = tmp_path / "one.npz"
    np.savez(path, image=np.zeros((1, 2, 4, 4), np.float32))
    return path


def test_the_manifest_says_what_is_not_there(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())
    assert "libmodel.a" in manifest["files"]
    assert not {"libmodel.so", "bench"} & set(manifest["files"])
    (note,) = [note for note in manifest["metadata"]["notes"] if "static library" in note]
    assert note.startswith("ios-arm64 has no ")


@pytest.mark.parametrize(
    "command",
    ["run", "run --device qemu", "profile", "profile --device qemu", "explain"],
)
def test_what_would_run_it_is_refused(octavo, artifact, one_input, command):
    name, *options = command.split()
    inputs = [] if name == "explain" else ["--input", one_input]
    outcome = octavo(name, artifact, *inputs, *options)
    assert outcome.code == 2
    assert "ios-arm64" in outcome.error_line
    assert "in an app" in outcome.error_line


def test_a_package_of_shared_libraries_is_refused(octavo, artifact, tmp_path):
    outcome = octavo("package", artifact, "--c", tmp_path / "sdk")
    assert (outcome.code, (tmp_path / "sdk").exists()) == (2, False)
    assert outcome.error_line == (
        "octavo: there are no shared libraries for ios-arm64:"
        " octavo package --ios makes a Swift package"
    )


@pytest.mark.parametrize("device", ["local", "qemu"])
@pytest.mark.parametrize("command", ["compile", "search"])
def test_nothing_is_measured_for_it(octavo, model, samples, tmp_path, command, device):
    options = ["--target", "ios-arm64", "--data", samples, "--device", device]
    limits = ["--min-sqnr", "20"] if command == "search" else []
    outcome = octavo(command, model, *options, *limits, "-o", tmp_path / "out")
    assert outcome.code == 2
    assert outcome.error_line == (
        "octavo: target 'ios-arm64' cannot be measured: only its system's own tools link"
        " programs for it"
    )
