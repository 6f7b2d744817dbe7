"""Machine code for phones and simulators, run on Linux: all that a package has.

Its objects are written down for another linker, the same instructions in another kind of file.
Where the C libraries of both systems differ, a few functions translate.
"""

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.compiler.package.apple_archives import members, thin
from tests.compiler.package.conftest import DIGITS
from tests.compiler.package.macho_to_elf import ARM64, X86_64, to_assembler

import octavo
from octavo.compiler.artifact.toolchain import zig
from octavo.compiler.package.c_example import example_source
from octavo.compiler.package.ios.app_package import package_ios
from octavo.compiler.package.ios.samples import Reference

TARGETS = ("ios-arm64", "ios-simulator-x86-64")
# Folder of the library, where its code runs, and what runs it.
MACHINES = {
    ARM64: ("ios-arm64", "aarch64-linux-musl", "qemu-aarch64"),
    X86_64: ("ios-x86_64-simulator", "x86_64-linux-musl", None),
}
# Slices whose weights may be those of a processor: equal ones are there once.
SLICES = {ARM64: ("ios-arm64",), X86_64: ("ios-x86_64-simulator", "ios-arm64")}
HERE = Path(__file__).parent
# What darwin_on_linux.c translates.
TRANSLATED = {
    "_tlv_bootstrap", "clock_gettime", "fstat", "fstat$INODE64", "memset_pattern16", "mmap",
    "open", "sysctlbyname",
}  # fmt: skip


@pytest.fixture(scope="module")
def package(digits, tmp_path_factory):
    """Of the digits network, checked with a picture."""
    folder = tmp_path_factory.mktemp("phones")
    with np.load(DIGITS / "calibration.npz") as samples:
        calibration = {name: samples[name][:32] for name in samples}
    for target in TARGETS:
        octavo.compile(DIGITS / "digits.onnx", target, folder / target, samples=calibration)
    picture = {name: array[:1] for name, array in calibration.items()}
    artifacts = [folder / target for target in TARGETS]
    return package_ios(artifacts, folder / "app", references=[Reference(digits, picture)])


def _link(package, processor, source, folder):
    """Link a program with everything of a library; the command that runs it."""
    name, zig_target, emulator = MACHINES[processor]
    if emulator is not None and shutil.which(emulator) is None:
        pytest.skip("needs qemu-user")
    place = package.directory / "COctavo.xcframework" / name
    archive = thin((place / f"lib{package.name}.a").read_bytes())[processor]
    sources = []
    for member, body in members(archive):
        sources.append(f"{member}.s")
        (folder / sources[-1]).write_text(to_assembler(body, TRANSLATED))
    command = ["cc", "-target", zig_target, "-O2", "-fno-sanitize=all", "-o", "program"]
    headers = f"-I{place / 'Headers' / 'COctavo'}"
    shim = HERE / "darwin_on_linux.c"
    zig([*command, headers, str(source), str(shim), *sources, "-lm"], folder)
    return [*([emulator] if emulator else []), folder / "program"]


def _weights(package, processor, model):
    """The resource that an app has for a slice."""
    folder = package.directory / "Sources" / "Octavo" / "Models"
    names = [f"{model}-{slice_name}.weights" for slice_name in SLICES[processor]]
    return next(folder / name for name in names if (folder / name).exists())


@pytest.mark.slow
@pytest.mark.parametrize("processor", MACHINES, ids=("arm64", "x86_64"))
def test_a_library_gives_the_bytes_of_its_sample(package, run_command, tmp_path, processor):
    (tmp_path / "main.c").write_text(example_source("digits"))
    run = _link(package, processor, "main.c", tmp_path)
    place = package.directory / "Sources" / "OctavoCheck" / "Samples"
    (sample,) = json.loads((place / "samples.json").read_text())
    inputs = b"".join((place / file_name).read_bytes() for file_name in sample["inputs"])
    outputs = b"".join((place / file_name).read_bytes() for file_name in sample["outputs"])
    weights = _weights(package, processor, "digits")
    assert run_command([*run, weights], input=inputs) == outputs
    logits = struct.unpack(f"<{len(outputs) // 4}f", outputs)
    assert len(set(logits)) > 5  # the sample says something


@pytest.mark.slow
@pytest.mark.parametrize("processor", MACHINES, ids=("arm64", "x86_64"))
def test_a_library_serves_many_threads(make_artifact, run_command, tmp_path, processor):
    artifacts = [make_artifact(m, target) for target in TARGETS for m in ("tiny", "other")]
    package = package_ios(artifacts, tmp_path / "app")
    run = _link(package, processor, HERE / "eight_threads.c", tmp_path)
    weights = [_weights(package, processor, name) for name in ("tiny", "other")]
    assert run_command([*run, *weights]) == b"right\n"


@pytest.mark.slow
def test_a_library_says_what_a_phone_lacks(make_artifact, tmp_path):
    package = package_ios([make_artifact("tiny", "ios-arm64-dotprod")], tmp_path / "app")
    (tmp_path / "main.c").write_text(example_source("tiny"))
    command = _link(package, ARM64, "main.c", tmp_path)
    weights = _weights(package, ARM64, "tiny")

    def run(features):
        return subprocess.run(
            [*command, weights],
            input=bytes(1000),
            env=os.environ | {"DARWIN_FEATURES": features},
            capture_output=True,
            check=False,
            timeout=60,
        )

    old = run("hw.optional.arm.FEAT_FP16")
    assert old.returncode == 1
    assert b"CPU" in old.stderr
    assert run("hw.optional.arm.FEAT_DotProd").returncode == 0
