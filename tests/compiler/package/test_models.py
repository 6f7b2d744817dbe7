"""Which artifacts go into one package, and what happens to the others."""

import json
import shutil

import pytest

from octavo.compiler.package.c_sdk import package_c
from octavo.compiler.package.models import collect_models
from octavo.errors import ArtifactError, TargetError


def _changed(artifact, folder, **entries):
    """A copy whose manifest says something else."""
    shutil.copytree(artifact, folder)
    manifest = json.loads((folder / "manifest.json").read_text()) | entries
    text = json.dumps({name: value for name, value in manifest.items() if value is not None})
    (folder / "manifest.json").write_text(text)
    return folder


def test_models_are_sorted_by_target_and_name(artifacts):
    models = collect_models(artifacts)
    assert list(models) == ["host"]
    assert [model.name for model in models["host"]] == ["other", "tiny"]


def test_artifacts_of_another_runtime_are_refused(artifacts, tmp_path):
    old = _changed(artifacts[0], tmp_path / "old", abi_version=None)
    with pytest.raises(
        ArtifactError, match=r"old: runtime interface 4 is needed.*an older one"
    ):
        collect_models([old])
    new = _changed(artifacts[0], tmp_path / "new", abi_version=99)
    with pytest.raises(ArtifactError, match=r"has 99; compile the model again"):
        collect_models([new])


def test_two_models_of_one_name_are_refused(artifacts, tmp_path):
    twin = shutil.copytree(artifacts[0], tmp_path / "twin")
    with pytest.raises(ArtifactError, match=r"twin are both 'tiny' for host"):
        collect_models([*artifacts, twin])


def test_every_target_has_every_model(artifacts, tmp_path):
    other = _changed(artifacts[0], tmp_path / "phone", target="pixel-8")
    with pytest.raises(ArtifactError, match="there is no artifact of other for pixel-8"):
        collect_models([*artifacts, other])


def test_headers_must_agree(artifacts, tmp_path):
    phone = _changed(artifacts[0], tmp_path / "phone", target="pixel-8")
    header = (phone / "model.h").read_text().replace("BYTES 1000u", "BYTES 2000u")
    (phone / "model.h").write_text(header)
    _resign(phone)
    with pytest.raises(ArtifactError, match="'tiny' has other inputs or outputs for pixel-8"):
        package_c([artifacts[0], phone], tmp_path / "sdk")
    assert not (tmp_path / "sdk").exists()


def _resign(folder):
    from octavo.compiler.artifact.manifest import checksums

    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = checksums(folder, manifest["files"])
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"name": "../../etc"}, "'../../etc' is not the name of a model"),
        ({"name": 7}, "7 is not the name of a model"),
        ({"files": {}}, "model.c is missing"),
        ({"target": "../host"}, "unknown target"),
        ({"format": 99}, "format 99"),
    ],
)
def test_what_a_manifest_says_is_checked(artifacts, tmp_path, entries, message):
    folder = _changed(artifacts[0], tmp_path / "copy", **entries)
    with pytest.raises((ArtifactError, TargetError), match=message):
        collect_models([folder])


def test_a_changed_file_is_refused(artifacts, tmp_path):
    folder = shutil.copytree(artifacts[0], tmp_path / "copy")
    weights = bytearray((folder / "weights.bin").read_bytes())
    weights[0] ^= 1
    (folder / "weights.bin").write_bytes(weights)
    with pytest.raises(ArtifactError, match=r"weights\.bin: changed after"):
        collect_models([folder])


def test_names_are_identifiers(artifacts, tmp_path):
    with pytest.raises(ArtifactError, match=r"the name 'a b' is not allowed"):
        package_c(artifacts, tmp_path / "sdk", name="a b")
    with pytest.raises(ArtifactError, match="no artifact"):
        package_c([], tmp_path / "sdk")


def test_a_package_replaces_only_a_package(artifacts, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="exists already; --force replaces it"):
        package_c(artifacts, mine)
    with pytest.raises(ArtifactError, match="is not a package: it will not be replaced"):
        package_c(artifacts, mine, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    sdk = package_c(artifacts, tmp_path / "sdk", name="first").directory
    again = package_c(artifacts, tmp_path / "sdk", name="second", force=True)
    assert again.directory == sdk
    assert (sdk / "lib/host/libsecond.so").is_file()
    assert not (sdk / "lib/host/libfirst.so").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "sdk"]
