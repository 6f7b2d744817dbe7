"""How the runtime builds: size, warnings, languages, other architectures."""

import re
import shutil
from pathlib import Path

import pytest

RUNTIME = Path(__file__).resolve().parents[2] / "runtime"
HEADER = RUNTIME / "include" / "octavo_runtime.h"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wpedantic", "-Wshadow", "-Wconversion")
SOURCES = sorted((RUNTIME / "src").glob("*.c"))
ARCHITECTURES = (
    "x86_64-linux-gnu.2.28",
    "aarch64-linux-musl",
    "arm-linux-musleabihf",
    "riscv64-linux-musl",
    "hexagon-linux-musl",
    "aarch64-macos",
)
# What the library may ask of its environment: memory, files, time and threads.
LIBC_SYMBOLS = {
    "close", "free", "fstat", "getauxval", "memcpy", "memset", "mmap", "munmap", "open",
    "posix_memalign", "syscall", "clock_gettime", "__tls_get_addr", "_GLOBAL_OFFSET_TABLE_",
    "pthread_attr_destroy", "pthread_attr_init", "pthread_attr_setstacksize", "pthread_create",
    "pthread_join", "read", "__stack_chk_fail", "strlen",
}  # fmt: skip
# Of the file that only drivers of accelerators call: a program without one links none of it.
DRIVER_SYMBOLS = {
    "dlclose", "dlopen", "dlsym", "fclose", "fopen", "fread", "fseek", "ftell", "fwrite",
    "remove", "rename",
}  # fmt: skip


def test_the_header_is_short():
    assert len(HEADER.read_text().splitlines()) < 210


def test_every_function_of_the_header_is_documented():
    text = HEADER.read_text()
    declarations = re.findall(r"(\S[^\n]*)\n+OCTAVO_API ", text)
    assert len(declarations) == text.count("\nOCTAVO_API ") > 10
    assert all(before.endswith("*/") for before in declarations)


def test_the_header_compiles_as_c_plus_plus(run, tmp_path):
    compiler = shutil.which("g++") or pytest.skip("needs g++")
    source = tmp_path / "use.cc"
    source.write_text(
        '#include "octavo_runtime.h"\n'
        "int main() { return octavo_status_message(OCTAVO_OK) == nullptr; }\n"
    )
    flags = ["-std=c++11", *WARNINGS, f"-I{RUNTIME / 'include'}"]
    run([compiler, *flags, "-c", source, "-o", tmp_path / "use.o"])


@pytest.fixture(scope="module")
def library(run, gcc, tmp_path_factory):
    """Built by CMake alone, without Python."""
    cmake = shutil.which("cmake") or pytest.skip("needs cmake")
    build = tmp_path_factory.mktemp("build")
    run([cmake, "-S", RUNTIME, "-B", build, f"-DCMAKE_C_COMPILER={gcc}"])
    run([cmake, "--build", build])
    return build / "liboctavo_runtime.a"


def test_the_stripped_library_is_at_most_100_kilobytes(run, library):
    strip = shutil.which("strip") or pytest.skip("needs strip")
    run([strip, "--strip-unneeded", library])
    assert library.stat().st_size <= 100_000


def test_the_library_needs_a_few_libc_symbols_only(run, library):
    nm = shutil.which("nm") or pytest.skip("needs nm")
    listing = run([nm, library])
    undefined = set(re.findall(r"^\s+U (\S+)", listing, re.MULTILINE))
    defined = set(re.findall(r"^\S+ [A-Z] (\S+)", listing, re.MULTILINE))
    outside = {name.split("@")[0] for name in undefined - defined}
    assert outside <= LIBC_SYMBOLS | DRIVER_SYMBOLS
    files = re.split(r"^(?=\S+\.o:$)", listing, flags=re.MULTILINE)
    others = [text for text in files if not text.startswith("platform_files")]
    assert len(others) == len(files) - 1
    found = set(re.findall(r"^\s+U (\S+)", "".join(others), re.MULTILINE))
    assert not found & DRIVER_SYMBOLS


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_compiles_for_every_architecture(architecture, tmp_path):
    from octavo.compiler.artifact.toolchain import zig

    warnings = [w for w in WARNINGS if w != "-Wconversion"]  # size_t has 32 bits on some
    flags = ["-std=c11", "-O2", *warnings, f"-I{RUNTIME / 'include'}"]
    for source in [*SOURCES, RUNTIME / "bench" / "bench.c"]:
        zig(["cc", "-target", architecture, *flags, "-c", str(source), "-o", "a.o"], tmp_path)
        assert (tmp_path / "a.o").is_file()


@pytest.mark.slow
def test_places_in_files_have_64_bits_on_machines_of_32(run, tmp_path):
    from octavo.compiler.artifact.toolchain import zig

    nm = shutil.which("nm") or pytest.skip("needs nm")
    flags = ["-std=c11", "-O2", f"-I{RUNTIME / 'include'}"]
    for architecture, suffix in (("arm-linux-gnueabihf", "64"), ("aarch64-linux-gnu", "")):
        system = ["-target", f"{architecture}.2.28"]
        source = str(RUNTIME / "src" / "platform_map.c")
        zig(["cc", *system, *flags, "-c", source, "-o", "a.o"], tmp_path)
        wanted = set(re.findall(r"U (\w+)", run([nm, "-u", tmp_path / "a.o"])))
        assert {f"mmap{suffix}", f"open{suffix}"} <= wanted
