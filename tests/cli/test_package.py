"""package: from a model to a program of an app, by the command alone."""

import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest


@pytest.fixture
def artifact(octavo, model, samples, tmp_path):
    done = octavo(
        "compile", model, "--target", "host", "--data", samples, "-o", tmp_path / "a"
    )
    assert done.code == 0, done.err
    return tmp_path / "a"


def test_the_example_gives_the_bytes_of_run(octavo, artifact, samples, tmp_path):
    gcc = shutil.which("gcc") or pytest.skip("needs gcc")
    sdk = tmp_path / "sdk"
    done = octavo("package", artifact, "--c", sdk, "--json")
    assert done.code == 0, done.err
    assert done.json["name"] == "octavo_tiny"
    image = np.load(samples)["image"][:1]
    np.savez(tmp_path / "x.npz", image=image)
    run = octavo("run", artifact, "--input", tmp_path / "x.npz", "-o", tmp_path / "y.npz")
    assert run.code == 0, run.err
    # The one command of the package's own README.
    command = next(
        line.strip().replace("cc ", f"{gcc} ", 1)
        for line in (sdk / "README.md").read_text().splitlines()
        if line.strip().startswith("cc -std=c11")
    )
    subprocess.run(command, shell=True, cwd=sdk, check=True, timeout=120)
    outputs = subprocess.run(
        ["./tiny", "models/host/tiny/weights.bin"],
        input=image.tobytes(),
        cwd=sdk,
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    assert outputs == np.load(tmp_path / "y.npz")["scores"].tobytes()


def test_it_says_what_each_part_weighs(octavo, artifact, tmp_path):
    done = octavo("package", artifact, "--c", tmp_path / "sdk", "--name", "mine")
    assert done.code == 0, done.err
    words = done.out.split()
    for word in ("code", "tables", "weights", "file", "runtime", "host", "tiny", "libmine.so"):
        assert word in words
    assert words[-1] == str(tmp_path / "sdk" / "README.md")
    assert f"mine: {tmp_path / 'sdk'}" in done.out
    assert (tmp_path / "sdk/lib/host/libmine.a").is_file()


def test_mistakes_are_one_line(octavo, artifact, tmp_path):
    nothing = octavo("package", artifact)
    assert nothing.code == 2
    assert "--c DIR" in nothing.error_line
    twice = octavo("package", artifact, artifact, "--c", tmp_path / "sdk")
    assert twice.code == 2
    assert "are both 'tiny' for host" in twice.error_line
    no_artifact = octavo("package", tmp_path, "--c", tmp_path / "sdk")
    assert no_artifact.code == 2
    assert "is not an artifact" in no_artifact.error_line
    occupied = octavo("package", artifact, "--c", tmp_path, "--force")
    assert occupied.code == 2
    assert "is not a package: it will not be replaced" in occupied.error_line
    assert not (tmp_path / "sdk").exists()


def test_a_wheel_gives_the_bytes_of_run(octavo, artifact, samples, tmp_path):
    options = ("--name", "net", "--version", "2.0", "--json")
    done = octavo("package", artifact, "--python", tmp_path / "wheels", *options)
    assert done.code == 0, done.err
    assert (done.json["name"], done.json["version"]) == ("net", "2.0")
    (size,) = done.json["sizes"]
    # An installer unpacks it, and nothing else.
    with zipfile.ZipFile(tmp_path / "wheels" / size["wheel"]) as wheel:
        wheel.extractall(tmp_path / "installed")
    image = np.load(samples)["image"][:1]
    np.savez(tmp_path / "x.npz", image=image)
    run = octavo("run", artifact, "--input", tmp_path / "x.npz", "-o", tmp_path / "y.npz")
    assert run.code == 0, run.err
    program = (
        "import net, numpy as np\n"
        "with net.load() as model, np.load('x.npz') as x:\n"
        "    np.savez('z.npz', **model.run(dict(x)))"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "-c", program]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=60)
    outputs, expected = np.load(tmp_path / "z.npz"), np.load(tmp_path / "y.npz")
    assert set(outputs) == set(expected)
    for name in expected:
        assert outputs[name].tobytes() == expected[name].tobytes()


def test_a_table_says_what_a_wheel_weighs(octavo, artifact, tmp_path):
    done = octavo("package", artifact, "--python", tmp_path / "wheels")
    assert done.code == 0, done.err
    assert {"host", "tiny", "runtime", "liboctavo_tiny.so", "wheel"} <= set(done.out.split())


def test_an_aar_is_of_artifacts_for_android(octavo, artifact, tmp_path):
    done = octavo("package", artifact, "--android", tmp_path / "aar")
    assert done.code == 2
    assert "not Android; targets that are: android-arm64" in done.err
    assert not (tmp_path / "aar").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--c", "a", "--android", "b"),
        (),
        ("--c", "a", "--labels", "LABELS"),
    ],
)
def test_one_package_is_made_and_its_own_options_taken(octavo, artifact, tmp_path, options):
    labels = tmp_path / "labels.txt"
    labels.write_text("zero\none\n")
    done = octavo("package", artifact, *(labels if o == "LABELS" else o for o in options))
    assert done.code == 2
    assert "--android" in done.err


def test_only_wheels_have_a_version(octavo, artifact, tmp_path):
    done = octavo("package", artifact, "--c", tmp_path / "sdk", "--version", "1")
    assert done.code == 2
    assert done.error_line.startswith("octavo: --version is of the wheels of --python")


def test_an_aar_has_the_picture_and_the_labels(octavo, model, samples, tmp_path):
    if shutil.which("javac") is None:
        pytest.skip("needs javac, of default-jdk-headless")
    folder = tmp_path / "a"
    compiling = ("--target", "android-arm64", "--data", samples, "-o", folder)
    done = octavo("compile", model, *compiling)
    assert done.code == 0, done.err
    (tmp_path / "dog.JPG").write_bytes(b"a picture")
    (tmp_path / "labels.txt").write_text("zero\none\n")
    files = ("--picture", tmp_path / "dog.JPG", "--labels", tmp_path / "labels.txt")
    done = octavo("package", folder, "--android", tmp_path / "aar", *files, "--json")
    assert done.code == 0, done.err
    assert done.json["aar"] == str(tmp_path / "aar" / "octavo_tiny.aar")
    assert [size["abi"] for size in done.json["sizes"]] == ["arm64-v8a"]
    assets = tmp_path / "aar" / "sample" / "app" / "src" / "main" / "assets"
    assert (assets / "picture.jpg").read_bytes() == b"a picture"
    assert (assets / "labels.txt").read_text() == "zero\none\n"
    activity = assets.parent / "java" / "octavo" / "sample" / "MainActivity.java"
    assert 'open("picture.jpg")' in activity.read_text()


def test_a_swift_package_checks_itself_with_what_run_says(
    octavo, artifact, model, samples, tmp_path
):
    folder = tmp_path / "phone"
    compiling = ("--target", "ios-arm64", "--data", samples, "-o", folder)
    done = octavo("compile", model, *compiling)
    assert done.code == 0, done.err
    np.savez(tmp_path / "x.npz", image=np.load(samples)["image"][:1])
    reference = ("--reference", artifact, tmp_path / "x.npz")
    done = octavo("package", folder, "--ios", tmp_path / "app", *reference, "--json")
    assert done.code == 0, done.err
    assert done.json["name"] == "octavo_tiny"
    assert done.json["package"] == str(tmp_path / "app")
    assert [size["slice"] for size in done.json["sizes"]] == ["ios-arm64"]
    run = octavo("run", artifact, "--input", tmp_path / "x.npz", "-o", tmp_path / "y.npz")
    assert run.code == 0, run.err
    output = tmp_path / "app/Sources/OctavoCheck/Samples/tiny-output0.bin"
    assert output.read_bytes() == np.load(tmp_path / "y.npz")["scores"].tobytes()


def test_a_swift_package_is_of_artifacts_for_apples_systems(octavo, artifact, tmp_path):
    done = octavo("package", artifact, "--ios", tmp_path / "app")
    assert done.code == 2
    assert "none of Apple's systems; targets that are: ios-arm64" in done.error_line
    assert not (tmp_path / "app").exists()
    np.savez(tmp_path / "x.npz", image=np.zeros(1))
    reference = ("--reference", artifact, tmp_path / "x.npz")
    done = octavo("package", artifact, "--c", tmp_path / "sdk", *reference)
    assert done.code == 2
    assert done.error_line.startswith("octavo: --reference is of the checks of --ios")
