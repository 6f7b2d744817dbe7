"""Checks that this machine can compile, link and run: what ``octavo doctor`` reports."""

import ctypes
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from octavo.errors import OctavoError

MIN_PYTHON = (3, 11)
MIN_FREE_BYTES = 1 << 30  # a ResNet-50 build with its caches takes about a tenth
SUBPROCESS_TIMEOUT_S = 120.0  # the first import of TVM reads 300 MB, the first zig run unpacks
PROBE_SOURCE = "int octavo_probe(int x) { return x + 1; }\n"


class Status(Enum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: What was checked.
        status: How it ended.
        detail: What was found.
        remedy: What to do about it; "" when there is nothing to do.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""


def run_checks() -> list[Check]:
    """Run every check, each in its own right: a broken one does not hide the next."""
    return [_guarded(check) for check in CHECKS]


def _guarded(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except (OctavoError, OSError, ImportError, subprocess.SubprocessError) as error:
        name = check.__name__.removeprefix("check_").replace("_", " ")
        return Check(name, Status.FAILED, f"{type(error).__name__}: {error}")


def check_python() -> Check:
    """The interpreter is new enough."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < MIN_PYTHON:
        needed = ".".join(str(part) for part in MIN_PYTHON)
        return Check("python", Status.FAILED, version, f"use Python {needed} or newer")
    return Check("python", Status.OK, version)


def check_packages() -> Check:
    """Installed packages satisfy what Octavo's own metadata asks for."""
    try:
        requirements = importlib.metadata.requires("octavo") or []
    except importlib.metadata.PackageNotFoundError:
        return Check(
            "packages",
            Status.WARNING,
            "octavo runs from its source folder: versions are not checked",
            "pip install .",
        )
    needed = [r for r in requirements if "extra ==" not in r]
    wrong = [problem for r in needed if (problem := _requirement_problem(r))]
    if wrong:
        return Check("packages", Status.FAILED, "; ".join(wrong), "pip install octavo again")
    return Check("packages", Status.OK, f"{len(needed)} as required")


def _requirement_problem(requirement: str) -> str:
    """What is wrong with an installed package; "" when nothing is."""
    parsed = re.match(r"([A-Za-z0-9._-]+)\s*(==|>=)?\s*([0-9][^\s;,]*)?", requirement)
    if parsed is None:
        return f"cannot read the requirement {requirement!r}"
    name, operator, version = parsed.groups()
    try:
        installed = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} is missing"
    if operator == "==" and installed != version:
        return f"{name} is {installed}, only {version} works"
    if operator == ">=" and _release(installed) < _release(version):
        return f"{name} is {installed}, needs {version} or newer"
    return ""


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def check_tvm() -> Check:
    """TVM loads and can generate code; in a child process, since a bad pair can crash."""
    code = (
        "import tvm; "
        "assert tvm.get_global_func('target.build.llvm', allow_missing=True) is not None; "
        "print(tvm.__version__)"
    )
    done = _run([sys.executable, "-c", code])
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return Check("tvm", Status.FAILED, lines[-1], "reinstall apache-tvm, apache-tvm-ffi")
    return Check("tvm", Status.OK, done.stdout.strip().splitlines()[-1])


def check_linker() -> Check:
    """Zig compiles and links a shared library that this Python can load."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "probe.c", Path(folder) / "probe.so"
        source.write_text(PROBE_SOURCE, encoding="utf-8")
        done = _run(
            [sys.executable, "-m", "ziglang", "cc", "-shared", "-o", str(library), str(source)]
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            return Check("linker", Status.FAILED, lines[-1], "reinstall ziglang")
        if ctypes.CDLL(str(library)).octavo_probe(41) != 42:
            return Check("linker", Status.FAILED, "a linked function returns a wrong value")
    version = _run([sys.executable, "-m", "ziglang", "version"]).stdout.strip()
    return Check("linker", Status.OK, f"zig {version}")


def check_host_target() -> Check:
    """This machine is a known target."""
    from octavo.targets import get_target

    target = get_target("host")
    return Check(
        "host target",
        Status.OK,
        f"{target.cpu}, {target.isa} instructions, {target.num_cores} cores",
    )


def check_calls() -> Check:
    """Calls of a model from Python go through the extension module."""
    try:
        from octavo.compiler import native_call
    except ImportError:
        return Check(
            "calls",
            Status.WARNING,
            "through ctypes, which adds a microsecond to every run",
            "install Python's headers (python3-dev) and then octavo again",
        )
    return Check("calls", Status.OK, f"through {Path(native_call.__file__).name}")


def check_disk() -> Check:
    """There is room for temporary files."""
    folder = tempfile.gettempdir()
    free_bytes = shutil.disk_usage(folder).free
    detail = f"{free_bytes / (1 << 30):.1f} GiB free in {folder}"
    if free_bytes < MIN_FREE_BYTES:
        return Check("disk", Status.WARNING, detail, "set TMPDIR to a larger disk")
    return Check("disk", Status.OK, detail)


def check_clock() -> Check:
    """The CPU runs at a steady frequency, so that latencies can be compared."""
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > (os.cpu_count() or 1):
        return Check(
            "measuring", Status.WARNING, f"load {load:.1f}", "stop other work before profiling"
        )
    if governor.is_file() and (name := governor.read_text().strip()) == "powersave":
        return Check(
            "measuring",
            Status.WARNING,
            f"frequency governor {name}",
            "choose 'performance' before profiling",
        )
    return Check("measuring", Status.OK, f"load {load:.1f}")


CHECKS: tuple[Callable[[], Check], ...] = (
    check_python,
    check_packages,
    check_tvm,
    check_linker,
    check_host_target,
    check_calls,
    check_disk,
    check_clock,
)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SUBPROCESS_TIMEOUT_S
    )
