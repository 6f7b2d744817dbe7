"""Every check of checks.c, in every way that the runtime is built."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("checks.c").read_text()
CHECKS = re.findall(r"^static void (\w+)\(void\) \{", SOURCE, re.MULTILINE)
WRAPPED = ("malloc", "calloc", "realloc", "posix_memalign", "mmap", "octavo_platform_peek")
BUILDS = {
    "optimized": ("-O2", "-DCOUNT_ALLOCATIONS", *(f"-Wl,--wrap={name}" for name in WRAPPED)),
    "address_sanitizer": ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "thread_sanitizer": ("-O1", "-fsanitize=thread"),
    "portable": ("-O2", "-DOCTAVO_PORTABLE"),
    "portable_thread_sanitizer": ("-O1", "-fsanitize=thread", "-DOCTAVO_PORTABLE"),
    "single_thread": ("-O2", "-DOCTAVO_SINGLE_THREAD", "-DOCTAVO_PORTABLE"),
}


def test_every_check_of_the_c_file_is_in_its_table():
    table = re.findall(r"ENTRY\((\w+)\)[,\n]", SOURCE)
    assert len(CHECKS) > 15
    assert table == CHECKS


EMULATED = {
    "qemu-aarch64": "aarch64-linux-musl",
    "qemu-arm": "arm-linux-musleabihf",
    "qemu-riscv64": "riscv64-linux-musl",
}


@pytest.mark.slow
@pytest.mark.parametrize("emulator", EMULATED)
def test_every_check_passes_on_other_architectures(emulator, weights_file, tmp_path):
    from octavo.compiler.artifact.toolchain import zig

    if shutil.which(emulator) is None:
        pytest.skip(f"needs {emulator}")
    runtime = Path(__file__).resolve().parents[2] / "runtime"
    sources = [*sorted((runtime / "src").glob("*.c")), Path(__file__).with_name("checks.c")]
    flags = ["-std=c11", "-O2", "-pthread", "-static", f"-I{runtime / 'include'}"]
    command = ["cc", "-target", EMULATED[emulator], *flags, *map(str, sources)]
    zig([*command, "-o", "checks"], tmp_path)
    for check in CHECKS:
        result = subprocess.run(
            [emulator, tmp_path / "checks", check, weights_file],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, f"{check}: {result.stderr}"


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("build", BUILDS)
def test_check_passes(build, check, build_checks, weights_file):
    if check == "running_allocates_nothing" and "-DCOUNT_ALLOCATIONS" not in BUILDS[build]:
        pytest.skip("sanitizers and other builds do not count allocations")
    program = build_checks(*BUILDS[build])
    environment = dict(
        os.environ, TSAN_OPTIONS="halt_on_error=1", ASAN_OPTIONS="detect_leaks=1"
    )
    result = subprocess.run(
        [program, check, weights_file],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
