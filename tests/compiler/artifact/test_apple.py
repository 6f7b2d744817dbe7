"""The runtime on Apple's systems: no SDK is needed, and nothing but libSystem."""

import re
import struct
from pathlib import Path
from typing import NamedTuple

import pytest
import ziglang

from octavo.compiler.artifact.native_code import native_code
from octavo.compiler.artifact.toolchain import RUNTIME_FLAGS, runtime_objects, zig
from octavo.compiler.package.c_example import example_source

# What zig ships: headers that all of Apple's systems share, and the names in libSystem.
ZIG_LIBRARIES = Path(ziglang.__file__).parent / "lib" / "libc"
HEADERS = ("-isystem", str(ZIG_LIBRARIES / "include" / "any-darwin-any"))
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
ARM64, X86_64 = 0x0100000C, 0x01000007
MACOS, IOS, IOS_SIMULATOR = 1, 2, 7
OBJECT, PROGRAM = 1, 2
MAC = "aarch64-macos.12.0"
SYSTEMS = {
    MAC: (ARM64, MACOS),
    "aarch64-ios.15.0": (ARM64, IOS),
    "aarch64-ios.15.0-simulator": (ARM64, IOS_SIMULATOR),
    "x86_64-ios.15.0-simulator": (X86_64, IOS_SIMULATOR),
}
LLVM_TRIPLES = {
    MAC: "arm64-apple-macosx12.0",
    "aarch64-ios.15.0": "arm64-apple-ios15.0",
    "aarch64-ios.15.0-simulator": "arm64-apple-ios15.0-simulator",
    "x86_64-ios.15.0-simulator": "x86_64-apple-ios15.0-simulator",
}


class MachO(NamedTuple):
    """What is read of a file. Source: Apple, mach-o/loader.h and mach-o/nlist.h."""

    cpu: int
    kind: int
    platform: int
    defined: frozenset[str]
    undefined: frozenset[str]


def _read(path):
    data = path.read_bytes()
    magic, cpu, _, kind, num_commands = struct.unpack_from("<5I", data)
    assert magic == 0xFEEDFACF
    at, platform, symbols, num_symbols, strings = 32, None, 0, 0, 0
    for _ in range(num_commands):
        command, num_bytes = struct.unpack_from("<2I", data, at)
        if command == 0x32:  # LC_BUILD_VERSION
            (platform,) = struct.unpack_from("<I", data, at + 8)
        if command == 2:  # LC_SYMTAB
            symbols, num_symbols, strings = struct.unpack_from("<3I", data, at + 8)
        at += num_bytes
    names = {True: set(), False: set()}
    for i in range(num_symbols):
        name, bits, section = struct.unpack_from("<IBB", data, symbols + 16 * i)
        end = data.index(b"\0", strings + name)
        if bits & 1 and not bits & 0xE0:  # visible to others, and not for debuggers
            names[section != 0].add(data[strings + name : end].decode())
    return MachO(cpu, kind, platform, frozenset(names[True]), frozenset(names[False]))


@pytest.fixture(scope="module")
def libsystem():
    """Names of libSystem, as the stub says that linkers read."""
    text = (ZIG_LIBRARIES / "darwin" / "libSystem.tbd").read_text()
    return frozenset(re.findall(r"[\[ ,']([A-Za-z_][\w$]*)", text))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_runtime_asks_for_libsystem_only(system, libsystem):
    paths = runtime_objects(system, (*HEADERS, *WARNINGS), with_bench=False)
    files = [_read(path) for path in paths]
    assert {(file.cpu, file.platform) for file in files} == {SYSTEMS[system]}
    assert {file.kind for file in files} == {OBJECT}
    wanted = frozenset.union(*(file.undefined for file in files))
    wanted -= frozenset.union(*(file.defined for file in files))
    # The check sees something, and the system is asked what its CPU has.
    assert {"_mmap", "_pthread_create", "_sysctlbyname"} <= wanted
    assert wanted <= libsystem
    # What tells Linux apart, and what would end an app.
    assert not wanted & {"_syscall", "_getauxval", "_abort", "_exit", "_sigaction"}


@pytest.fixture(scope="module")
def tiny_kernels(make_add_program):
    """Function: LLVM triple and file to write the kernels of a small model to."""
    import tvm

    functions = {"k_tiny_add": make_add_program().functions["add"]}

    def write(triple, path):
        target = tvm.target.Target({"kind": "llvm", "mtriple": triple, "mcpu": "generic"})
        native_code(functions, {"k_tiny_add": (64, 64, 64)}, target).write_to_file(str(path))

    return write


@pytest.mark.parametrize("system", SYSTEMS)
def test_kernels_are_objects_of_the_system(system, libsystem, tiny_kernels, tmp_path):
    tiny_kernels(LLVM_TRIPLES[system], tmp_path / "kernels.o")
    file = _read(tmp_path / "kernels.o")
    assert (file.cpu, file.platform, file.kind) == (*SYSTEMS[system], OBJECT)
    assert "_k_tiny_add" in file.defined
    assert file.undefined <= libsystem


def test_a_program_for_a_mac_links(add_artifact, libsystem, tiny_kernels, tmp_path):
    tiny_kernels(LLVM_TRIPLES[MAC], tmp_path / "kernels.o")
    source = example_source("tiny").replace("octavo_tiny.h", "model.h")
    (tmp_path / "tiny.c").write_text(source)
    compiling = ["cc", "-target", MAC, *RUNTIME_FLAGS, f"-I{add_artifact}"]
    zig([*compiling, "-c", str(add_artifact / "model.c"), "-o", "model.o"], tmp_path)
    paths = runtime_objects(MAC, (*HEADERS, *WARNINGS), with_bench=False)
    zig(["ar", "--format=darwin", "rcsD", "lib.a", "model.o", *map(str, paths)], tmp_path)
    zig([*compiling, "tiny.c", "lib.a", "kernels.o", "-o", "tiny"], tmp_path)
    file = _read(tmp_path / "tiny")
    assert (file.cpu, file.platform, file.kind) == (ARM64, MACOS, PROGRAM)
    assert {"_octavo_run", "_k_tiny_add"} <= file.defined
    assert {"_fread", "_mmap"} <= file.undefined <= libsystem
