"""prefab/ of an AAR, by the rules of the program that reads it, and what C++ makes of it."""

import json
import re
import shutil
import subprocess
import zipfile

import pytest

from octavo.compiler.artifact.toolchain import zig
from octavo.compiler.package.android.aar import package_android
from octavo.compiler.package.android.prefab import assets_header
from octavo.targets import get_target

TARGETS = {"arm64-v8a": "android-arm64", "armeabi-v7a": "android-armv7"}
SOURCE = """
#include "octavo_assets.h"
#include "octavo_other.h"
#include "octavo_tiny.h"

octavo_status load(int descriptor, uint64_t offset, uint64_t num_bytes, octavo_model **model) {
  static_assert(sizeof(OCTAVO_TINY_ASSET) > 1, "a name");
  return octavo_load_descriptor(octavo_tiny_program(), descriptor, offset, num_bytes, model);
}
"""


@pytest.fixture(scope="module")
def package(make_artifact, tmp_path_factory):
    """The folder of a package, its AAR unpacked beside it."""
    if shutil.which("javac") is None:
        pytest.skip("needs javac, of default-jdk-headless")
    artifacts = [make_artifact(m, t) for t in TARGETS.values() for m in ("tiny", "other")]
    folder = tmp_path_factory.mktemp("prefab")
    with zipfile.ZipFile(package_android(artifacts, folder / "package").aar) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def module(package):
    (folder,) = (package / "prefab" / "modules").iterdir()
    return folder


def test_records_are_what_the_reader_takes(package, module):
    """Names and kinds of version 1; it refuses what it does not know."""
    record = json.loads((package / "prefab" / "prefab.json").read_text())
    assert record == {"name": "octavo", "schema_version": 1, "dependencies": []}
    assert module.name == "octavo_models"
    record = json.loads((module / "module.json").read_text())
    assert record == {"export_libraries": ["-ldl", "-lm"]}  # the library is lib and its name
    folders = sorted(path.name for path in (module / "libs").iterdir())
    assert folders == [f"android.{abi}" for abi in sorted(TARGETS)]
    for abi in TARGETS:
        folder = module / "libs" / f"android.{abi}"
        record = json.loads((folder / "abi.json").read_text())
        assert record == {"abi": abi, "api": 29, "ndk": 27, "stl": "none"}
        names = {path.name for path in folder.iterdir()}
        assert names == {"abi.json", "liboctavo_models.a"}


def test_headers_name_assets_that_are_there(package, module):
    header = (module / "include" / "octavo_assets.h").read_text()
    assets = re.findall(r'^#define OCTAVO_(\w+)_ASSET "(.*)"$', header, re.MULTILINE)
    assert [name for name, _ in assets] == ["OTHER", "TINY"] * 2
    for _, asset in assets:
        assert (package / "assets" / asset).is_file()


@pytest.mark.parametrize("abi", TARGETS)
def test_a_program_finds_all_that_it_calls(module, tmp_path, abi):
    nm = shutil.which("nm") or pytest.skip("needs nm")
    target = get_target(TARGETS[abi])
    (tmp_path / "app.cc").write_text(SOURCE)
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-exceptions"]
    flags += ["-fno-sanitize=all", f"-I{module / 'include'}", *target.c_flags]
    zig(["c++", "-target", target.zig_target, *flags, "-c", "app.cc", "-o", "app.o"], tmp_path)

    def symbols(file, option):
        command = [nm, option, "--quiet", file]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return {line.split()[-1] for line in listing.splitlines() if " " in line}

    library = module / "libs" / f"android.{abi}" / "liboctavo_models.a"
    called, defined = symbols(tmp_path / "app.o", "-u"), symbols(library, "--defined-only")
    assert {"octavo_tiny_program", "octavo_load_descriptor"} <= called <= defined
    assert {"octavo_tiny_create", "octavo_other_run", "octavo_cancel"} <= defined
    assert not [name for name in defined if name.startswith("Java_")]
    of_android = {s for known in target.abi.libraries for s in known.symbols}
    wanted = symbols(library, "-u") - defined - of_android
    # Of the compiler's own library, which its linker adds.
    assert [name for name in wanted if not re.match(r"__aarch64_|__aeabi_", name)] == []


def test_every_abi_has_its_own_assets():
    text = assets_header({"arm64-v8a": {"net": "a"}, "x86_64": {"net": "b"}})
    assert '#if defined(__aarch64__)\n#define OCTAVO_NET_ASSET "a"\n' in text
    assert '#elif defined(__x86_64__)\n#define OCTAVO_NET_ASSET "b"\n#else\n' in text
