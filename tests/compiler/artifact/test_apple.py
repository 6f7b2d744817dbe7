"""Artifacts for Apple's systems: no SDK is needed, and nothing but libSystem."""

import os
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import ziglang

from octavo.compiler.artifact import write_artifact
from octavo.compiler.artifact.macho_file import read_macho
from octavo.compiler.artifact.macho_format import LIBRARY, MachOFormat
from octavo.compiler.artifact.macho_symbols import check_symbols
from octavo.compiler.artifact.native_code import native_code
from octavo.compiler.artifact.toolchain import RUNTIME_FLAGS, runtime_objects, zig
from octavo.compiler.devices import find_device
from octavo.compiler.package.c_example import example_source
from octavo.compiler.session import load
from octavo.errors import TargetError, ToolchainError
from octavo.targets import SYSTEMS

# What zig ships: the names in macOS's libSystem.
STUB = Path(ziglang.__file__).parent / "lib" / "libc" / "darwin" / "libSystem.tbd"
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
ARM64, X86_64 = 0x0100000C, 0x01000007
MACOS, IOS, IOS_SIMULATOR = 1, 2, 7
OBJECT, PROGRAM = 1, 2
# Architecture, number of the system and its oldest version. Source: Apple, mach-o/loader.h.
TARGETS = {
    "ios-arm64": (ARM64, IOS, (15, 0)),
    "ios-simulator-arm64": (ARM64, IOS_SIMULATOR, (15, 0)),
    "ios-simulator-x86-64": (X86_64, IOS_SIMULATOR, (15, 0)),
    "macos-arm64": (ARM64, MACOS, (12, 0)),
    "macos-x86-64": (X86_64, MACOS, (12, 0)),
}


class MachO(NamedTuple):
    """What is read of a file. Source: Apple, mach-o/loader.h and mach-o/nlist.h."""

    cpu: int
    kind: int
    platform: int
    defined: frozenset[str]
    undefined: frozenset[str]


def _read(path):
    """Read a file without the reader of the product."""
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
    """Names of macOS's libSystem, as the stub says that linkers read."""
    return frozenset(re.findall(r"[\[ ,']([A-Za-z_][\w$]*)", STUB.read_text()))


@pytest.fixture(scope="module", params=TARGETS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def artifact(name, make_add_program, tmp_path_factory):
    folder = tmp_path_factory.mktemp(name) / "tiny"
    write_artifact(make_add_program(), SYSTEMS[name], None, folder)
    return folder


@pytest.fixture(scope="module")
def members(artifact, tmp_path_factory):
    """Folder of the objects in the library."""
    folder = tmp_path_factory.mktemp("members")
    zig(["ar", "x", str(artifact / LIBRARY)], folder)
    return folder


def test_an_artifact_has_a_static_library_and_no_program(artifact):
    names = {path.name for path in artifact.iterdir()}
    assert {"kernels.o", "libmodel.a", "model.c", "model.h", "weights.bin"} < names
    assert not names & {"libmodel.so", "bench"}


def test_equal_programs_give_equal_bytes(artifact, name, make_add_program, tmp_path):
    write_artifact(make_add_program(), SYSTEMS[name], None, tmp_path / "again")
    for path in artifact.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_objects_are_for_the_system(artifact, members, name):
    cpu, platform, version = TARGETS[name]
    assert (members / "kernels.o").read_bytes() == (artifact / "kernels.o").read_bytes()
    paths = list(members.glob("*.o"))
    assert {"model.o", "octavo_run.o", "octavo_weights.o"} < {path.name for path in paths}
    for path in paths:
        file, known = read_macho(path), _read(path)
        assert (file.cpu_type, file.platform, file.file_type) == (cpu, platform, OBJECT)
        assert file.min_version == version
        assert (known.cpu, known.platform, known.kind) == (cpu, platform, OBJECT)
        assert (file.defined, file.undefined) == (known.defined, known.undefined)
        assert not [section for section in file.sections if section.startswith("__DWARF")]
        of_linkers = file.sections.get("__LD,__compact_unwind", 0)
        assert file.loaded_bytes == sum(file.sections.values()) - of_linkers


def test_the_library_asks_for_libsystem_only(members, name, libsystem):
    files = [_read(path) for path in members.glob("*.o")]
    wanted = frozenset.union(*(file.undefined for file in files))
    wanted -= frozenset.union(*(file.defined for file in files))
    # The check sees something, and the system is asked what its CPU has.
    assert {"_mmap", "_pthread_create", "_sysctlbyname"} <= wanted
    assert wanted <= libsystem
    # What tells Linux apart, and what would end an app.
    assert not wanted & {"_syscall", "_getauxval", "_abort", "_exit", "_sigaction"}
    # Names of old forms are those of macOS alone.
    assert ("_fstat$INODE64" in wanted) == (name == "macos-x86-64")


def test_what_is_said_of_libsystem_is_true(name, libsystem):
    (library,) = SYSTEMS[name].abi.libraries
    assert {f"_{symbol}" for symbol in library.symbols} <= libsystem


def test_functions_that_compilers_make_up_are_known(make_kernel, name, tmp_path):
    """The sine and cosine of a number are one call, which each system names its way."""
    import tvm
    from tvm import tirx
    from tvm.tirx.script import builder as T

    target = SYSTEMS[name]
    kernel = make_kernel(
        "k",
        ("float32", "float32"),
        lambda i, x, y: T.buffer_store(y, tirx.sin(x[i]) * tirx.cos(x[i]), [i]),
    )
    code = native_code({"k": kernel}, {"k": (64, 64)}, tvm.target.Target(target.tvm_target()))
    MachOFormat().write_kernels(code, tmp_path, "k.o")
    assert read_macho(tmp_path / "k.o").undefined == {"___sincosf_stret"}
    check_symbols(target, [tmp_path / "k.o"])


def test_a_function_that_the_system_lacks_is_refused(tmp_path):
    (tmp_path / "late.c").write_text("void *__tls_get_addr(void *); void *late(void *p) {"
                                     " return __tls_get_addr(p); }\n")
    zig(["cc", "-target", "aarch64-ios.15.0", "-c", "late.c", "-o", "late.o"], tmp_path)
    message = r"^ios has no __tls_get_addr, which code for ios-arm64 calls$"
    with pytest.raises(ToolchainError, match=message):
        check_symbols(SYSTEMS["ios-arm64"], [tmp_path / "late.o"])
    (tmp_path / "own.c").write_text("void *__tls_get_addr(void *p) { return p; }\n")
    zig(["cc", "-target", "aarch64-ios.15.0", "-c", "own.c", "-o", "own.o"], tmp_path)
    check_symbols(SYSTEMS["ios-arm64"], [tmp_path / "late.o", tmp_path / "own.o"])


@pytest.mark.parametrize("data", [b"", b"\x7fELF" + bytes(60), b"\xcf\xfa\xed\xfe" + bytes(8)])
def test_a_file_that_is_no_object_is_one_line(data, tmp_path):
    (tmp_path / "x.o").write_bytes(data)
    with pytest.raises(ToolchainError, match=r"^x\.o is no Mach-O file that can be read$"):
        read_macho(tmp_path / "x.o")


# As the linker reads it. The binder is what it makes calls of other libraries with.
STUB_OF_SYSTEM = """--- !tapi-tbd
tbd-version: 4
targets: [ {system} ]
install-name: '/usr/lib/libSystem.B.dylib'
exports:
  - targets: [ {system} ]
    symbols: [ dyld_stub_binder, {symbols} ]
...
"""
# Without headers of the C library, which zig has for macOS only.
PROGRAM_SOURCE = """int main(void) {
    static int8_t x[1000], y[1000], w[1000];
    octavo_model *model = 0;
    if (octavo_tiny_create("weights.bin", 1, &model)) return 1;
    return octavo_tiny_run(model, x, y, w);
}
"""


def test_a_program_links(artifact, name, tmp_path):
    """Objects, library and index are what a linker takes, though it is not Apple's own."""
    cpu, platform, version = TARGETS[name]
    target = SYSTEMS[name]
    system = "-".join(filter(None, (target.abi.name, target.abi.system, target.abi.variant)))
    symbols = (f"'_{symbol}'" for symbol in target.abi.libraries[0].symbols)
    stub = STUB_OF_SYSTEM.format(system=system, symbols=", ".join(symbols))
    (tmp_path / "libSystem.tbd").write_text(stub)
    (tmp_path / "tiny.c").write_text(PROGRAM_SOURCE)
    command = ["cc", "-target", target.zig_target, *RUNTIME_FLAGS, "-fno-stack-protector"]
    included = ["-include", str(artifact / "model.h")]
    zig([*command, *included, "-c", "tiny.c", "-o", "tiny.o"], tmp_path)
    libraries = [str(artifact / LIBRARY), "libSystem.tbd"]
    zig([*command, "-nostdlib", "tiny.o", *libraries, "-o", "tiny"], tmp_path)
    file = read_macho(tmp_path / "tiny")
    assert (file.cpu_type, file.platform, file.file_type) == (cpu, platform, PROGRAM)
    assert file.min_version == version
    assert {"_octavo_load", "_octavo_tiny_run"} <= file.defined
    assert {"_pthread_create", "_mmap"} <= file.undefined


@pytest.mark.parametrize("name", ["macos-arm64", "macos-x86-64"], indirect=True)
def test_an_example_links_for_a_mac(artifact, name, libsystem, tmp_path):
    source = example_source("tiny").replace("octavo_tiny.h", "model.h")
    (tmp_path / "tiny.c").write_text(source)
    command = ["cc", "-target", SYSTEMS[name].zig_target, *RUNTIME_FLAGS, f"-I{artifact}"]
    zig([*command, "tiny.c", str(artifact / LIBRARY), "-o", "tiny"], tmp_path)
    file = _read(tmp_path / "tiny")
    assert (file.cpu, file.platform, file.kind) == (*TARGETS[name][:2], PROGRAM)
    assert "_octavo_run" in file.defined
    assert {"_fread", "_mmap"} <= file.undefined <= libsystem


def test_the_runtime_compiles_without_warnings(name):
    target = SYSTEMS[name]
    headers = target.abi.headers
    assert runtime_objects(
        target.zig_target, WARNINGS, with_bench=False, system_headers=headers)


def test_no_device_of_here_runs_it(artifact, name, monkeypatch):
    monkeypatch.setenv("PATH", os.defpath)
    message = rf"was compiled for {name}: its static library runs in an app"
    with pytest.raises(TargetError, match=message):
        load(artifact)
    for device in ("local", "qemu"):
        with (
            pytest.raises(TargetError, match=message),
            find_device(device).deploy(artifact),
        ):
            pass


def test_nothing_of_it_is_measured(name):
    with pytest.raises(TargetError, match=f"^target '{name}' cannot be measured: "):
        SYSTEMS[name].check_measurable()
    replace(SYSTEMS[name], abi=None).check_measurable()
