"""A package for Apple's systems: what Xcode, its linker and its users find in it."""

import json
import plistlib
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import ziglang
from tests.compiler.package.apple_archives import members, thin
from tests.compiler.package.swift_calls import parse

from octavo.compiler.artifact.manifest import sha256_of
from octavo.compiler.artifact.toolchain import zig
from octavo.compiler.package.ios.app_package import package_ios
from octavo.compiler.package.ios.privacy import REASONS, REQUIRED_REASON_FUNCTIONS
from octavo.compiler.package.ios.samples import Reference
from octavo.compiler.package.record import PACKAGE_RECORD
from octavo.errors import ArtifactError, DataError, ToolchainError
from octavo.targets import get_target

INPUT = (np.arange(1000) * 7).astype(np.int8)
TARGETS = ("ios-arm64", "ios-simulator-arm64", "ios-simulator-x86-64", "macos-arm64")
ARM64, X86_64 = 0x0100000C, 0x01000007
# Folder of a library, its processors, and the number of its platform. Source: Apple,
# mach/machine.h and PLATFORM_* of mach-o/loader.h.
LIBRARIES = {
    "ios-arm64": ((ARM64,), 2),
    "ios-arm64_x86_64-simulator": ((X86_64, ARM64), 7),
    "macos-arm64": ((ARM64,), 1),
}


@pytest.fixture(scope="module")
def package(make_artifact, tmp_path_factory):
    artifacts = [make_artifact(m, target) for target in TARGETS for m in ("tiny", "other")]
    references = [Reference(make_artifact("tiny"), {"x:0": INPUT.reshape(10, 100)})]
    folder = tmp_path_factory.mktemp("ios") / "app"
    return package_ios(artifacts, folder, name="nets", references=references)


@pytest.fixture(scope="module")
def framework(package):
    return package.directory / "COctavo.xcframework"


def _commands(body):
    """Load commands of an object. Source: Apple, mach-o/loader.h."""
    magic, processor, _, _, count = struct.unpack_from("<5I", body)
    assert magic == 0xFEEDFACF
    at = 32
    for _ in range(count):
        command, size = struct.unpack_from("<2I", body, at)
        yield processor, command, body[at + 8 : at + size]
        at += size


def _symbols(body):
    """Names that other objects see: defined ones, weak ones, and undefined ones."""
    defined, weak, undefined = set(), set(), set()
    for _, command, data in _commands(body):
        if command == 2:  # LC_SYMTAB
            table, count, strings = struct.unpack_from("<3I", data)
            for i in range(count):
                name, kind, section, flags = struct.unpack_from("<IBBH", body, table + 16 * i)
                if kind & 1 and not kind & 0xE0:
                    start = strings + name
                    text = body[start : body.index(b"\0", start)].decode()
                    is_weak = bool(flags & 0x80)  # N_WEAK_DEF, where it is defined
                    ((weak if is_weak else defined) if section else undefined).add(text)
    return defined, weak, undefined


def test_info_plist_describes_what_is_there(framework):
    info = plistlib.loads((framework / "Info.plist").read_bytes())
    assert info["CFBundlePackageType"] == "XFWK"
    assert info["XCFrameworkFormatVersion"] == "1.0"
    libraries = info["AvailableLibraries"]
    assert [record["LibraryIdentifier"] for record in libraries] == list(LIBRARIES)
    assert {path.name for path in framework.iterdir()} == {"Info.plist", *LIBRARIES}
    for record in libraries:
        folder = framework / record["LibraryIdentifier"]
        assert (folder / record["LibraryPath"]).is_file()
        assert record["BinaryPath"] == record["LibraryPath"] == "libnets.a"
        assert (folder / record["HeadersPath"]).is_dir()
        system, processors, *variant = record["LibraryIdentifier"].split("-")
        assert record["SupportedPlatform"] == system
        named = "_".join(record["SupportedArchitectures"])
        assert named == processors
        assert [record[k] for k in record if k == "SupportedPlatformVariant"] == variant
        # Keys that Xcode writes for static libraries, and no others.
        assert set(record) <= {
            "BinaryPath", "HeadersPath", "LibraryIdentifier", "LibraryPath",
            "SupportedArchitectures", "SupportedPlatform", "SupportedPlatformVariant",
        }  # fmt: skip


def test_property_lists_are_ones_that_apples_reader_takes(package, framework, run_command):
    if shutil.which("plistutil") is None:
        pytest.skip("needs plistutil, of libplist-utils")
    for path in (
        framework / "Info.plist",
        package.directory / "Sources" / "Octavo" / "PrivacyInfo.xcprivacy",
    ):
        binary = run_command(["plistutil", "-i", path, "-o", "-", "-f", "bin"])
        assert plistlib.loads(binary) == plistlib.loads(path.read_bytes())


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_has_the_processors_and_the_platform_of_its_name(framework, name):
    processors, platform = LIBRARIES[name]
    archives = thin((framework / name / "libnets.a").read_bytes())
    assert tuple(archives) == processors
    for processor, archive in archives.items():
        objects = dict(members(archive))
        assert {"tiny_kernels.o", "other_model.o", "octavo_run.o"} <= set(objects)
        for member, body in objects.items():
            commands = list(_commands(body))
            assert {found for found, _, _ in commands} == {processor}
            # LC_BUILD_VERSION begins with the platform.
            builds = [
                struct.unpack_from("<I", data)[0] for _, c, data in commands if c == 0x32
            ]
            assert builds == [platform], member


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_asks_for_nothing_but_libsystem(framework, name):
    known = {
        f"_{s}" for library in get_target("ios-arm64").abi.libraries for s in library.symbols
    }
    for processor, archive in thin((framework / name / "libnets.a").read_bytes()).items():
        defined, weak, undefined = set(), set(), set()
        for _, body in members(archive):
            own, own_weak, wanted = _symbols(body)
            assert not own & defined  # two models, one runtime
            defined |= own
            weak |= own_weak
            undefined |= wanted
        assert {"_octavo_tiny_program", "_octavo_other_program", "_octavo_run"} <= defined
        # Kernels have a pointer for the runtime to set, the same in all models.
        assert "___TVMBackendParallelLaunch" in defined & weak
        undefined -= defined | weak
        assert {"_mmap", "_pthread_create"} <= undefined
        assert {name.split("$")[0] for name in undefined} <= known, processor


def test_the_privacy_manifest_declares_what_the_runtime_calls(package, framework):
    path = package.directory / "Sources" / "Octavo" / "PrivacyInfo.xcprivacy"
    record = plistlib.loads(path.read_bytes())
    declared = {
        entry["NSPrivacyAccessedAPIType"]: tuple(entry["NSPrivacyAccessedAPITypeReasons"])
        for entry in record["NSPrivacyAccessedAPITypes"]
    }
    assert declared == REASONS
    assert record["NSPrivacyTracking"] is False
    assert record["NSPrivacyTrackingDomains"] == record["NSPrivacyCollectedDataTypes"] == []
    called = set()
    for name in LIBRARIES:
        for archive in thin((framework / name / "libnets.a").read_bytes()).values():
            for _, body in members(archive):
                called |= {s.removeprefix("_").split("$")[0] for s in _symbols(body)[2]}
    assert {
        category
        for category, functions in REQUIRED_REASON_FUNCTIONS.items()
        if called & set(functions)
    } == set(declared)


@pytest.mark.parametrize("target", ["arm64-apple-ios15.0", "x86_64-apple-ios15.0-simulator"])
def test_the_module_can_be_imported(framework, run_command, tmp_path, target):
    """A module map in a folder of the module's name is found, and its headers compile."""
    zig_folder = Path(ziglang.__file__).parent
    source = tmp_path / "import.m"
    source.write_text(
        "@import COctavo;\n"
        "uint64_t size(void) { return octavo_tiny_program()->weights_bytes; }\n"
        "octavo_status last = OCTAVO_BUSY;\n"
        "uint32_t index = OCTAVO_OTHER_INPUT_X_0;\n"
    )
    name = "ios-arm64_x86_64-simulator" if "simulator" in target else "ios-arm64"
    headers = framework / name / "Headers"
    command = [zig_folder / "zig", "clang", f"--target={target}", "-fsyntax-only"]
    command += ["-ffreestanding", "-isystem", zig_folder / "lib" / "include"]
    command += ["-fmodules", f"-fmodules-cache-path={tmp_path / 'cache'}"]
    command += ["-Wall", "-Wextra", "-Werror"]
    run_command([*command, f"-I{headers}", source])
    # Not because the headers are found without it.
    (tmp_path / "empty").mkdir()
    failed = subprocess.run(
        [*command, f"-I{tmp_path / 'empty'}", source], capture_output=True, check=False
    )
    assert b"module 'COctavo' not found" in failed.stderr


CALLER = """\
#include <COctavo/octavo_tiny.h>
#include <COctavo/octavo_other.h>
int main(int count, char **words) {
  octavo_model *model = NULL;
  octavo_status status = octavo_tiny_create(words[1], 1, &model);
  octavo_tiny_destroy(model);
  return count + (int)status + (octavo_other_program() == NULL);
}
"""
# What Apple's linkers read in place of a library. Source: LLVM, TextAPI, version 4.
STUB = """\
--- !tapi-tbd
tbd-version:     4
targets:         [ {targets} ]
install-name:    '/usr/lib/libSystem.B.dylib'
exports:
  - targets:         [ {targets} ]
    symbols:         [ {symbols} ]
...
"""


def _link(target, place, folder, *libraries):
    """A program that uses both models; its platform, and the names that are defined."""
    (folder / "main.c").write_text(CALLER)
    flags = ["-fno-stack-protector", "-fno-sanitize=all", f"-I{place / 'Headers'}"]
    command = ["cc", "-target", get_target(target).zig_target, *flags, "-o", "main", "main.c"]
    zig([*command, str(place / "libnets.a"), *libraries], folder)
    body = (folder / "main").read_bytes()
    (platform,) = [struct.unpack_from("<I", d)[0] for _, c, d in _commands(body) if c == 0x32]
    return platform, _symbols(body)[0]


def test_the_library_for_macs_links(framework, tmp_path):
    platform, defined = _link("macos-arm64", framework / "macos-arm64", tmp_path)
    assert platform == LIBRARIES["macos-arm64"][1]
    assert {"_octavo_run", "_octavo_other_program", "_main"} <= defined


def test_the_library_for_phones_links(framework, tmp_path):
    """Against the names of libSystem alone: the linker has no library of phones."""
    abi = get_target("ios-arm64").abi
    names = {f"_{s}" for library in abi.libraries for s in library.symbols}
    names.add("dyld_stub_binder")  # of which every program has a use

    def link(symbols):
        text = STUB.format(targets="arm64-ios", symbols=", ".join(sorted(symbols)))
        (tmp_path / "libSystem.tbd").write_text(text)
        place = framework / "ios-arm64"
        return _link("ios-arm64", place, tmp_path, "-nostdlib", "libSystem.tbd")

    platform, defined = link(names)
    assert platform == LIBRARIES["ios-arm64"][1]
    assert {"_octavo_run", "_octavo_other_program"} <= defined
    with pytest.raises(ToolchainError, match="undefined symbol: _pthread_create"):
        link(names - {"_pthread_create"})


def test_the_swift_package_names_what_is_there(package):
    folder = package.directory
    manifest = (folder / "Package.swift").read_text()
    assert not parse(manifest.encode()).has_error
    assert manifest.startswith("// swift-tools-version: 5.9\n")
    assert 'name: "nets"' in manifest
    assert 'platforms: [.iOS("15.0"), .macOS("12.0")]' in manifest
    (framework,) = re.findall(r'binaryTarget\(name: "(\w+)", path: "(.*)"\)', manifest)
    assert framework == ("COctavo", "COctavo.xcframework")
    targets = re.findall(
        r'\.target\(\n\s+name: "(\w+)",.*?resources: \[(.*?)\]\n', manifest, re.DOTALL
    )
    assert [name for name, _ in targets] == ["Octavo", "OctavoCheck"]
    for name, resources in targets:
        for resource in re.findall(r'\.copy\("(.*?)"\)', resources):
            assert (folder / "Sources" / name / resource).exists()
    assert {p.name for p in (folder / "Sources").iterdir()} == {"Octavo", "OctavoCheck"}
    assert 'testTarget(name: "OctavoTests"' in manifest
    assert list((folder / "Tests" / "OctavoTests").glob("*.swift"))
    models = (folder / "Sources/Octavo/Models.swift").read_text()
    assert not parse(models.encode()).has_error
    named = set(re.findall(r'weights: "(.*)"', models))
    files = {p.name for p in (folder / "Sources/Octavo/Models").iterdir()}
    assert {f"{name}.weights" for name in named} == files


def test_weights_are_the_artifacts_and_equal_ones_are_there_once(package, make_artifact):
    place = package.directory / "Sources/Octavo/Models"
    names = ["other-ios-arm64.weights", "tiny-ios-arm64.weights"]
    assert sorted(path.name for path in place.iterdir()) == names
    weights = make_artifact("tiny", "ios-arm64") / "weights.bin"
    assert (place / "tiny-ios-arm64.weights").read_bytes() == weights.read_bytes()
    assert package.weights_bytes == 2 * weights.stat().st_size


def test_samples_have_what_the_reference_made(package, expected):
    place = package.directory / "Sources/OctavoCheck/Samples"
    other, tiny = json.loads((place / "samples.json").read_text())
    assert (other["model"], tiny["model"]) == ("other", "tiny")
    assert other == {"model": "other", "inputs": [None], "outputs": [], "reference": None}
    assert tiny["reference"] == "host"
    (input_file,) = tiny["inputs"]
    assert (place / input_file).read_bytes() == INPUT.tobytes()
    outputs = b"".join((place / name).read_bytes() for name in tiny["outputs"])
    assert outputs == expected("tiny")
    named = {input_file, *tiny["outputs"], "samples.json"}
    assert {path.name for path in place.iterdir()} == named


def test_references_that_do_not_fit_are_refused(make_artifact, tmp_path):
    artifacts = [make_artifact("tiny", "ios-arm64")]
    inputs = {"x:0": INPUT.reshape(10, 100)}

    def package(*references):
        package_ios(artifacts, tmp_path / "app", references=references)

    with pytest.raises(ArtifactError, match="'other', and the package has tiny"):
        package(Reference(make_artifact("other"), inputs))
    with pytest.raises(ArtifactError, match="a second reference of 'tiny'"):
        package(*[Reference(make_artifact("tiny"), inputs)] * 2)
    with pytest.raises(DataError, match="no input 'x:0'"):
        package(Reference(make_artifact("tiny"), {}))
    assert list(tmp_path.iterdir()) == []


def test_sizes_add_up(package, framework):
    assert [size.slice for size in package.sizes] == [
        "ios-arm64", "ios-arm64-simulator", "ios-x86_64-simulator", "macos-arm64",
    ]  # fmt: skip
    for size in package.sizes:
        parts = [size.runtime_bytes]
        for model in size.models:
            assert model.weights_bytes == 1088
            parts += [model.kernel_bytes, model.table_bytes]
        assert min(parts) > 0
        # The rest is symbols, relocations and headers.
        assert sum(parts) < size.library_bytes < 3 * sum(parts)
    device = framework / "ios-arm64" / "libnets.a"
    assert package.sizes[0].library_bytes == device.stat().st_size
    files = [path for path in framework.rglob("*") if path.is_file()]
    assert package.framework_bytes == sum(path.stat().st_size for path in files)


def test_the_record_has_a_checksum_of_every_file(package):
    record = json.loads((package.directory / PACKAGE_RECORD).read_text())
    assert record["kind"] == "ios"
    assert record["name"] == "nets"
    files = {p for p in package.directory.rglob("*") if p.is_file()}
    for name, checksum in record["files"].items():
        assert sha256_of(package.directory / name) == checksum
    named = {package.directory / name for name in record["files"]}
    assert files - named == {package.directory / PACKAGE_RECORD}


def test_two_builds_are_the_same_bytes(package, make_artifact, tmp_path):
    artifacts = [
        make_artifact(m, target) for target in TARGETS[::-1] for m in ("other", "tiny")
    ]
    references = [Reference(make_artifact("tiny"), {"x:0": INPUT.reshape(10, 100)})]
    folder = tmp_path / "elsewhere" / "app"
    again = package_ios(artifacts, folder, name="nets", references=references)
    record = PACKAGE_RECORD
    assert (again.directory / record).read_bytes() == (package.directory / record).read_bytes()


def test_a_package_without_a_device_says_so(make_artifact, tmp_path):
    package = package_ios([make_artifact("tiny", "ios-simulator-arm64")], tmp_path / "app")
    (note,) = package.notes
    assert "no artifact for a device" in note
    framework = package.directory / "COctavo.xcframework"
    assert {p.name for p in framework.iterdir()} == {"Info.plist", "ios-arm64-simulator"}
    assert 'platforms: [.iOS("15.0")]' in (package.directory / "Package.swift").read_text()


def test_other_systems_and_two_targets_of_a_slice_are_refused(make_artifact, tmp_path):
    with pytest.raises(ArtifactError, match=r"none of Apple's systems.*: ios-arm64, "):
        package_ios([make_artifact("tiny", "android-arm64")], tmp_path / "app")
    artifacts = [make_artifact("tiny", t) for t in ("ios-arm64", "ios-arm64-dotprod")]
    with pytest.raises(ArtifactError, match=r"ios-arm64-dotprod\) are both for ios-arm64"):
        package_ios(artifacts, tmp_path / "app")
    assert not (tmp_path / "app").exists()
