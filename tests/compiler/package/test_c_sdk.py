"""The C SDK as whoever gets it uses it: builds, equal bytes, nothing more than needed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from octavo.compiler.artifact.manifest import sha256_of
from octavo.compiler.artifact.toolchain import cache_folder
from octavo.compiler.package.c_sdk import package_c
from octavo.compiler.package.cmake_config import cmake_files
from octavo.compiler.package.record import PACKAGE_RECORD
from octavo.compiler.session import load
from octavo.targets import get_target

INPUT = (np.arange(1000) * 7).astype(np.int8)
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
SYSTEM = ("-pthread", "-ldl", "-lm")
# Stripped as artifacts are: their C libraries are in the cache.
ZIG = (sys.executable, "-m", "ziglang", "cc", "-s", "-fno-sanitize=all")
COMPILERS = {
    "gcc-c11": ("gcc", "-std=c11"),
    "gcc-c++17": ("g++", "-std=c++17", "-x", "c++"),
    "clang-c11": ("clang", "-std=c11"),
    "clang-c++17": ("clang++", "-std=c++17", "-x", "c++"),
    "zig-c11": (*ZIG, "-target", get_target("host").zig_target, "-std=c11"),
    "zig-c++17": (*ZIG, "-target", get_target("host").zig_target, "-std=c++17", "-x", "c++"),
    "address-sanitizer": ("gcc", "-std=c11", "-g", "-fsanitize=address"),
    "undefined-sanitizer": ("gcc", "-std=c11", "-fsanitize=undefined"),
    "thread-sanitizer": ("gcc", "-std=c11", "-fsanitize=thread"),
}


def _tool(name):
    return shutil.which(name) or pytest.skip(f"needs {name}")


def _build(run_command, sdk, compiler, name, program, libraries):
    command = [_tool(compiler[0]), *compiler[1:], *WARNINGS, f"example/{name}.c"]
    if "-x" in compiler:
        command += ["-x", "none"]
    # Zig keeps the C libraries that it builds where the compiler does.
    caches = {
        "ZIG_GLOBAL_CACHE_DIR": cache_folder() / "zig",
        "ZIG_LOCAL_CACHE_DIR": program.parent,
    }
    environment = {**os.environ, **{key: str(path) for key, path in caches.items()}}
    options = {"cwd": sdk, "env": environment}
    run_command([*command, "-Iinclude", *libraries, *SYSTEM, "-o", program], **options)


def _outputs(run_command, sdk, name, program, *, target="host", before=(), **options):
    weights = sdk / "models" / target / name / "weights.bin"
    return run_command([*before, program, weights], input=INPUT.tobytes(), **options)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_example_gives_the_bytes_of_the_model(
    run_command, sdk, expected, compiler, tmp_path
):
    archive = "lib/host/liboctavo_models.a"
    for name in ("tiny", "other"):
        program = tmp_path / name
        _build(run_command, sdk, COMPILERS[compiler], name, program, [archive])
        assert _outputs(run_command, sdk, name, program) == expected(name)


def test_a_session_gives_them_as_well(artifacts, expected):
    for folder, name in zip(artifacts, ("tiny", "other"), strict=True):
        with load(folder) as session:
            outputs = session.run({"x:0": INPUT.reshape(10, 100)})
        assert b"".join(array.tobytes() for array in outputs.values()) == expected(name)


def test_the_example_says_what_is_wrong(run_command, sdk, tmp_path):
    program = tmp_path / "tiny"
    _build(
        run_command,
        sdk,
        COMPILERS["gcc-c11"],
        "tiny",
        program,
        ["lib/host/liboctavo_models.a"],
    )
    cases = {
        "give it the weight file": [],
        "the weight file cannot be read": ["/no/such/file"],
        "the weights have not the size": [sdk / "README.md"],
        "too few INPUTS": [sdk / "models/host/tiny/weights.bin"],
    }
    for message, arguments in cases.items():
        result = subprocess.run(
            [program, *arguments], input=b"", capture_output=True, check=False, timeout=60
        )
        assert result.returncode == 1
        assert message in result.stderr.decode()


def test_pkg_config_finds_the_shared_library(run_command, sdk, expected, tmp_path):
    moved = shutil.copytree(sdk, tmp_path / "moved")
    folder = moved / "lib" / "host"
    flags = run_command(
        [_tool("pkg-config"), "--cflags", "--libs", "octavo_models"],
        env={"PKG_CONFIG_PATH": str(folder / "pkgconfig"), "PATH": "/usr/bin:/bin"},
    )
    program = tmp_path / "tiny"
    _build(run_command, moved, COMPILERS["gcc-c11"], "tiny", program, flags.decode().split())
    environment = {"LD_LIBRARY_PATH": str(folder)}
    assert _outputs(run_command, moved, "tiny", program, env=environment) == expected("tiny")
    result = subprocess.run([program], env={}, capture_output=True, check=False, timeout=60)
    assert b"liboctavo_models.so" in result.stderr  # it is the shared one


@pytest.mark.parametrize("library", ["octavo_models", "octavo_models_shared"])
def test_cmake_finds_the_package(run_command, sdk, expected, library, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\n"
        "project(app C)\n"
        "find_package(octavo_models 0.1 CONFIG REQUIRED)\n"
        f"add_executable(app {sdk}/example/other.c)\n"
        f"target_link_libraries(app PRIVATE octavo::{library})\n"
        "file(WRITE weights.txt ${octavo_models_WEIGHTS_other})\n"
    )
    cmake = _tool("cmake")
    found = f"-Doctavo_models_DIR={sdk}/lib/cmake/octavo_models"
    run_command([cmake, "-S", tmp_path, "-B", tmp_path / "build", found])
    run_command([cmake, "--build", tmp_path / "build"])
    weights = Path((tmp_path / "weights.txt").read_text())
    assert weights.samefile(sdk / "models/host/other/weights.bin")
    program = tmp_path / "build" / "app"
    assert _outputs(run_command, sdk, "other", program) == expected("other")


def test_cmake_says_which_targets_there_are(sdk, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\n"
        "project(app NONE)\n"
        "set(octavo_models_TARGET dishwasher)\n"
        "find_package(octavo_models CONFIG REQUIRED)\n"
    )
    found = f"-Doctavo_models_DIR={sdk}/lib/cmake/octavo_models"
    command = [_tool("cmake"), "-S", tmp_path, "-B", tmp_path / "build", found]
    result = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert result.returncode != 0
    assert "octavo_models_TARGET can be: host" in " ".join(result.stderr.decode().split())


@pytest.mark.parametrize(
    ("system", "processor", "target"),
    [
        ("Linux", "x86_64", "host"),
        ("Linux", "AMD64", "host"),
        ("Linux", "aarch64", "arm64-neon"),
        ("Linux", "armv7l", "armv7-neon"),
        ("Android", "aarch64", "android-arm64"),
        ("Android", "armv7-a", "android-armv7"),
        ("Android", "x86_64", ""),
        ("Windows", "AMD64", ""),
    ],
)
def test_cmake_takes_the_library_of_its_system(tmp_path, system, processor, target):
    names = ("android-arm64", "arm64-neon", "armv7-neon", "android-armv7", "host")
    targets = [get_target(name) for name in names]
    for name, text in cmake_files("net", "net", targets, ["net"]).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "CMakeFindDependencyMacro.cmake").write_text(
        "macro(find_dependency)\nendmacro()\n"  # which would need a compiler
    )
    (tmp_path / "check.cmake").write_text(
        "cmake_minimum_required(VERSION 3.16)\n"
        f'set(CMAKE_SYSTEM_NAME "{system}")\n'
        f'set(CMAKE_SYSTEM_PROCESSOR "{processor}")\n'
        f'set(CMAKE_MODULE_PATH "{tmp_path}")\n'
        "macro(add_library)\nendmacro()\n"
        "macro(set_target_properties)\nendmacro()\n"
        f'include("{tmp_path}/net-config.cmake")\n'
        'message(STATUS "takes ${net_TARGET}")\n'
    )
    command = [_tool("cmake"), "-P", tmp_path / "check.cmake"]
    result = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert f"takes {target}\n" in result.stdout.decode(), result.stderr


def test_models_share_one_runtime(run_command, sdk):
    nm = _tool("nm")
    for file, option in (("liboctavo_models.a", "-g"), ("liboctavo_models.so", "-D")):
        listing = run_command([nm, option, "--defined-only", sdk / "lib/host" / file]).decode()
        defined = re.findall(r"^\S+ [A-Z] (\S+)$", listing, re.MULTILINE)
        for symbol in ("octavo_run", "octavo_tiny_run", "octavo_other_run"):
            assert defined.count(symbol) == 1, (file, symbol)
    assert all(symbol.startswith("octavo_") for symbol in defined)  # of the shared library


def test_a_program_gets_the_models_that_it_calls(run_command, sdk, tmp_path):
    program = tmp_path / "tiny"
    archive = "lib/host/liboctavo_models.a"
    _build(
        run_command,
        sdk,
        (*COMPILERS["gcc-c11"], "-Wl,--gc-sections"),
        "tiny",
        program,
        [archive],
    )
    names = run_command([_tool("nm"), program]).decode()
    assert "octavo_tiny_create" in names
    for absent in (
        "octavo_other",
        "k_other",
        "octavo_opencl",
        "expand_all",
        "octavo_find_cpus",
    ):
        assert absent not in names


def test_the_libraries_end_no_process_and_catch_no_signal(run_command, sdk):
    listing = run_command([_tool("nm"), "-D", "-u", sdk / "lib/host/liboctavo_models.so"])
    wanted = set(re.findall(r"^\s+[Uw] (\w+)", listing.decode(), re.MULTILINE))
    assert {"mmap", "pthread_create"} <= wanted
    ending = {"abort", "exit", "_exit", "__assert_fail", "raise", "kill", "longjmp"}
    signals = {"signal", "sigaction", "sigaltstack", "sigprocmask", "pthread_sigmask"}
    assert not wanted & (ending | signals)


def test_sizes_add_up(package, sdk):
    (target,) = package.sizes
    shared = sdk / "lib/host/liboctavo_models.so"
    own = sum(model.kernel_bytes + model.table_bytes for model in target.models)
    assert target.library_bytes == shared.stat().st_size == own + target.runtime_bytes
    assert 0 < target.runtime_bytes < 40_000
    assert [model.name for model in target.models] == ["other", "tiny"]
    for model in target.models:
        folder = sdk / "models/host" / model.name
        assert model.weights_bytes == (folder / "weights.bin").stat().st_size
        assert model.manifest_bytes == (folder / "manifest.json").stat().st_size
        assert min(model.kernel_bytes, model.table_bytes) > 100


def test_the_record_lists_every_file(sdk):
    record = json.loads((sdk / PACKAGE_RECORD).read_text())
    files = {p.relative_to(sdk).as_posix() for p in sdk.rglob("*") if p.is_file()}
    assert set(record["files"]) == files - {PACKAGE_RECORD}
    assert all(sha256_of(sdk / name) == digest for name, digest in record["files"].items())
    assert {"LICENSE", "README.md", "include/octavo_tiny.h"} <= files


def test_two_packages_are_byte_identical(artifacts, sdk, tmp_path):
    again = package_c(list(reversed(artifacts)), tmp_path / "elsewhere" / "again").directory
    assert (again / PACKAGE_RECORD).read_bytes() == (sdk / PACKAGE_RECORD).read_bytes()


def test_examples_have_thirty_lines(sdk):
    assert len((sdk / "example/tiny.c").read_text().splitlines()) <= 32


@pytest.mark.slow
def test_a_package_has_libraries_for_several_targets(
    run_command, make_artifact, expected, tmp_path
):
    emulator = _tool("qemu-aarch64")
    artifacts = [make_artifact("tiny", target) for target in ("host", "arm64-neon")]
    package = package_c(artifacts, tmp_path / "sdk")
    assert package.name == "octavo_tiny"
    folder, program = package.directory, tmp_path / "tiny"
    for system in ("aarch64-linux-musl", "aarch64-linux-gnu.2.28"):
        static = ["-static"] if "musl" in system else []
        compiler = (*ZIG, "-target", system, "-std=c11", *static)
        archive = "lib/arm64-neon/liboctavo_tiny.a"
        _build(run_command, folder, compiler, "tiny", program, [archive])
        if static:
            options = {"target": "arm64-neon", "before": [emulator]}
            found = _outputs(run_command, folder, "tiny", program, **options)
            assert found == expected("tiny")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["armv7-neon", "arm64-neon", "riscv64-rvv"])
def test_libraries_of_other_architectures_run_with_glibc(
    run_command, make_artifact, expected, tmp_path, target
):
    record = get_target(target)
    system = record.zig_target.rsplit(".", 2)[0]
    root = Path("/usr") / system
    if not (root / "lib" / "libc.so.6").is_file():
        pytest.skip(
            f"needs glibc for {system}: libc6-armhf-cross, -arm64-cross, -riscv64-cross"
        )
    emulator = [_tool(record.emulator.program), "-cpu", record.emulator.cpu, "-L", root]
    folder = package_c([make_artifact("tiny", target)], tmp_path / "sdk").directory
    compiler = (*ZIG, "-target", record.zig_target, "-std=c11")
    for library in ("liboctavo_tiny.a", "liboctavo_tiny.so"):
        path = folder / "lib" / target / library
        _build(run_command, folder, compiler, "tiny", tmp_path / "tiny", [path])
        before = [*emulator, "-E", f"LD_LIBRARY_PATH={path.parent}"]
        options = {"target": target, "before": before}
        assert _outputs(run_command, folder, "tiny", tmp_path / "tiny", **options) == expected(
            "tiny"
        )
