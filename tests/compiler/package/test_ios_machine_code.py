"""Machine code for phones and simulators, run: the kernels and tables that a package has.

What a package has of a model is linked with the runtime for Linux, after its objects were
written down for another linker: the same instructions in another kind of file.
"""

import json
import shutil
import struct

import numpy as np
import pytest
from tests.compiler.package.apple_archives import members, thin
from tests.compiler.package.conftest import DIGITS
from tests.compiler.package.macho_to_elf import ARM64, X86_64, to_assembler

import octavo
from octavo.compiler.artifact.toolchain import runtime_folder, runtime_objects, zig
from octavo.compiler.package.c_example import example_source
from octavo.compiler.package.ios.app_package import package_ios
from octavo.compiler.package.ios.samples import Reference

TARGETS = ("ios-arm64", "ios-simulator-x86-64")
# Folder of the library, where its code runs, and what runs it.
MACHINES = {
    ARM64: ("ios-arm64", "aarch64-linux-musl", "qemu-aarch64"),
    X86_64: ("ios-x86_64-simulator", "x86_64-linux-musl", None),
}
# What Apple's C library has and others have not. Source: Darwin, memset_pattern(3).
DARWIN = """\
#include <stddef.h>
void memset_pattern16(char *to, const char *pattern, size_t size) {
  for (size_t i = 0; i < size; i++) to[i] = pattern[i % 16];
}
"""


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


@pytest.mark.slow
@pytest.mark.parametrize("processor", MACHINES, ids=("arm64", "x86_64"))
def test_the_code_in_a_package_gives_the_bytes_of_its_sample(
    package, run_command, tmp_path, processor
):
    name, zig_target, emulator = MACHINES[processor]
    if emulator is not None and shutil.which(emulator) is None:
        pytest.skip("needs qemu-user")
    framework = package.directory / "COctavo.xcframework"
    library = framework / name / "liboctavo_digits.a"
    objects = dict(members(thin(library.read_bytes())[processor]))
    own = {name: body for name, body in objects.items() if not name.startswith("octavo_")}
    assert set(own) == {"digits_kernels.o", "digits_model.o"}
    sources = {
        "main.c": example_source("digits"),
        "darwin.c": DARWIN,
        **{f"{name}.s": to_assembler(body) for name, body in own.items()},
    }
    for file_name, text in sources.items():
        (tmp_path / file_name).write_text(text)
    headers = [framework / name / "Headers" / "COctavo", runtime_folder() / "include"]
    command = ["cc", "-target", zig_target, "-O2", "-fno-sanitize=all", "-o", "program"]
    runtime = runtime_objects(zig_target, with_bench=False)
    includes = [f"-I{folder}" for folder in headers]
    zig([*command, *includes, *sources, *map(str, runtime), "-lm"], tmp_path)
    place = package.directory / "Sources" / "OctavoCheck" / "Samples"
    (sample,) = json.loads((place / "samples.json").read_text())
    (weights,) = (package.directory / "Sources/Octavo/Models").glob(f"*-{name}.weights")
    run = [*([emulator] if emulator else []), tmp_path / "program", weights]
    inputs = b"".join((place / file_name).read_bytes() for file_name in sample["inputs"])
    outputs = b"".join((place / file_name).read_bytes() for file_name in sample["outputs"])
    assert run_command(run, input=inputs) == outputs
    logits = struct.unpack(f"<{len(outputs) // 4}f", outputs)
    assert len(set(logits)) > 5  # the sample says something
