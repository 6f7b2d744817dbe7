"""A library for Android: what it asks of the system, and how it is laid out."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path

import octavo
from octavo.compiler.artifact import toolchain, write_artifact
from octavo.compiler.artifact.elf_format import LIBRARY
from octavo.compiler.package.android.aar import package_android
from octavo.errors import ToolchainError
from octavo.targets import PRODUCTS, get_target
from octavo.targets.android import ANDROID_ARM64

PAGE_BYTES = 16 * 1024
MAX_LIBRARY_BYTES = 400_000  # without weights, which are a file of their own
MAX_AAR_BYTES = 500_000  # without weights
TARGET = PRODUCTS["pixel-8"]


@pytest.fixture(scope="module")
def folder(make_add_program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("android") / "tiny"
    write_artifact(make_add_program(), TARGET, None, folder)
    return folder


def _readelf(path, *options):
    if shutil.which("readelf") is None:
        pytest.skip("needs readelf, of binutils")
    command = ["readelf", "-W", *options, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _undefined(text):
    return set(re.findall(r"\bUND[ ]+([^\s@]+)", text))


def test_only_functions_of_android_are_undefined(folder):
    known = {symbol for library in ANDROID_ARM64.libraries for symbol in library.symbols}
    undefined = _undefined(_readelf(folder / LIBRARY, "--dyn-syms"))
    assert {"mmap", "pthread_create", "syscall"} <= undefined  # the check sees something
    assert undefined <= known


def test_only_libraries_of_android_are_needed(folder):
    text = _readelf(folder / LIBRARY, "-d")
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", text)
    assert set(needed) <= {library.name for library in ANDROID_ARM64.libraries}
    assert "libc.so" in needed
    assert re.findall(r"\(SONAME\).*\[(.*)\]", text) == [LIBRARY]
    assert "TEXTREL" not in text
    assert "(GNU_HASH)" in text


def test_segments_fit_pages_of_16_kib(folder):
    segments = re.findall(
        r"^\s+(LOAD|GNU_STACK)\s+(0x\w+)\s+(0x\w+)\s+\S+\s+\S+\s+\S+\s+([RWE ]+?)\s+(\w+)$",
        _readelf(folder / LIBRARY, "-l"),
        re.MULTILINE,
    )
    loads = [s for s in segments if s[0] == "LOAD"]
    assert len(loads) >= 2
    for _, offset, address, flags, alignment in loads:
        assert int(alignment, 16) % PAGE_BYTES == 0
        assert (int(offset, 16) - int(address, 16)) % PAGE_BYTES == 0
        assert not {"W", "E"} <= set(flags)
    assert [s[3] for s in segments if s[0] == "GNU_STACK"] == ["RW"]


def test_the_library_is_position_independent_and_stripped(folder):
    assert re.search(r"Type:\s+DYN", _readelf(folder / LIBRARY, "-h"))
    sections = _readelf(folder / LIBRARY, "-S")
    assert ".symtab" not in sections
    assert ".debug" not in sections


def test_a_function_that_android_lacks_is_refused(make_add_program, make_kernel, tmp_path):
    from tvm.tirx.script import builder as T

    program = make_add_program()
    program.functions["add"] = make_kernel(
        "add",
        ("int8", "int8", "int8"),
        lambda i, a, b, c: T.evaluate(T.call_extern("int32", "qsort_r", i)),
    )
    with pytest.raises(ToolchainError, match="undefined symbol: qsort_r"):
        write_artifact(program, TARGET, None, tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["android-arm64", "android-armv7"])
def test_the_declarations_for_android_are_those_of_the_kernel(
    make_add_program, tmp_path, name
):
    """Without its headers, the runtime opens, maps, waits and starts threads as with them.

    The runtime is compiled as for Android and linked with another C library of the same
    kernel interface, which an emulator can run.
    """
    target = get_target(name)
    emulator = shutil.which(target.emulator.program) or pytest.skip("needs qemu-user")
    folder = tmp_path / "tiny"
    write_artifact(make_add_program(), target, None, folder)
    sources = sorted((toolchain.runtime_folder() / "src").glob("*.c"))
    include = f"-I{toolchain.runtime_folder() / 'include'}"
    musl = ["cc", "-target", target.program_zig_target, "-std=c11", "-O2", include]
    as_android = [*musl, "-D__ANDROID__", "-nostdlibinc"]
    for source in sources:
        toolchain.zig([*as_android, "-c", str(source), "-o", f"{source.stem}.o"], tmp_path)
    others = [toolchain.runtime_folder() / "bench" / "bench.c", folder / "model.c"]
    objects = [f"{source.stem}.o" for source in sources]
    flags = ["-DOCTAVO_ENTRY", "-o", "bench"]
    inputs = [*map(str, others), str(folder / "kernels.o"), *objects]
    toolchain.zig([*musl, *flags, *inputs, "-lm"], tmp_path)
    x = np.arange(1000, dtype=np.int32).astype(np.int8)
    x.tofile(tmp_path / "x")
    command = [
        emulator, "-cpu", target.emulator.cpu, tmp_path / "bench", "--threads", "3",
        "--weights", folder / "weights.bin",
        "--input", f"x:0={tmp_path / 'x'}", "--output", f"y={tmp_path / 'y'}",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    weights = np.arange(1000).astype(np.int8) + np.int8(1)
    assert (np.fromfile(tmp_path / "y", np.int8) == x + 2 * weights).all()


@pytest.mark.slow
def test_a_library_and_an_aar_of_a_network_are_small(tmp_path):
    entry = find_entry("mobilenet_v2")
    samples = entry.samples(2, input_size=entry.small_size)
    octavo.compile(
        model_path(entry.name, input_size=entry.small_size),
        TARGET.name,
        tmp_path / "out",
        samples={name: np.stack([s[name] for s in samples]) for name in samples[0]},
        use_tuned=False,
    )
    num_bytes = (tmp_path / "out" / LIBRARY).stat().st_size
    assert num_bytes < MAX_LIBRARY_BYTES
    if shutil.which("javac") is None:
        return
    package = package_android([tmp_path / "out"], tmp_path / "app")
    (size,) = package.sizes
    assert size.library_bytes < MAX_LIBRARY_BYTES
    assert package.aar_bytes < size.models[0].weights_bytes + MAX_AAR_BYTES
