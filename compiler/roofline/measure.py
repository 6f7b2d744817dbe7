"""Measure the peaks of this machine, once for each kind of CPU and toolchain."""

import hashlib
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import octavo
from octavo.compiler.artifact.toolchain import cache_folder
from octavo.compiler.roofline.machine import Machine, this_machine
from octavo.compiler.roofline.peaks import (
    MemoryLevel,
    Peaks,
    Rate,
    peaks_entry,
    peaks_from_entry,
)
from octavo.errors import DeviceError
from octavo.targets.base import Target

FORMAT = 1  # raised when the same machine would be measured otherwise
NUM_RUNS = 25  # half a second with main memory
TIMEOUT_S = 120.0
MIN_TIME_US = 1e-3  # the clock's resolution


def find_peaks(target: Target, num_threads: int, *, again: bool = False) -> Peaks:
    """Peaks of this machine with a target's instructions, measured when they are new.

    Args:
        target: What code is generated for; this machine must be able to run it.
        num_threads: Threads.
        again: Measure, also when that was done before.

    Raises:
        DeviceError: The measuring process failed.
        ToolchainError: The probes cannot be compiled.
    """
    machine = this_machine()
    path = cache_folder() / "peaks" / f"{fingerprint(machine, target, num_threads)}.json"
    known = None if again else _read(path)
    if known is not None:
        return known
    peaks = measure_peaks(machine, target, num_threads)
    if peaks.is_steady:  # what a busy machine gives must not stay
        _write(path, peaks)
    return peaks


def fingerprint(machine: Machine, target: Target, num_threads: int) -> str:
    """What measured rates belong to, as a short hexadecimal text."""
    facts = {
        "format": FORMAT,
        "machine": asdict(machine),
        "code": [target.triple, target.cpu, list(target.features), target.isa],
        "num_threads": num_threads,
        "versions": [octavo.__version__, version("apache-tvm"), version("ziglang")],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def measure_peaks(machine: Machine, target: Target, num_threads: int) -> Peaks:
    """Compile the probes, run them in a process of their own, and take the best of each."""
    from octavo.compiler.artifact.write import write_artifact
    from octavo.compiler.roofline.probe_program import CALL, ProbeProgram, stream_sizes
    from octavo.targets.instructions import isa_of
    from octavo.targets.kernels.probes import stream_step

    sizes = stream_sizes(machine, num_threads, stream_step(isa_of(target)))
    program = ProbeProgram(target, sizes, num_threads)
    with tempfile.TemporaryDirectory(prefix="octavo-peaks-") as name:
        folder = Path(name) / "artifact"
        write_artifact(program.build(), target, None, folder)
        measured = _run(folder, num_threads, Path(name) / "times.json")
    times_us = measured["times_us"]

    def rate(quantity: str) -> Rate:
        found = [p for p in program.probes if p.quantity == quantity]
        best, median = (
            max(p.work / max(times_us[p.step][i], MIN_TIME_US) for p in found) for i in (0, 1)
        )
        return Rate(best / 1e3, median / 1e3)  # per microsecond to 10**9 per second

    probed = {probe.quantity for probe in program.probes}
    calls_us = [times_us[p.step][0] for p in program.probes if p.quantity == CALL]
    return Peaks(
        isa=target.isa,
        num_threads=num_threads,
        int8=rate("int8"),
        float32=rate("float32"),
        levels=tuple(MemoryLevel(s.name, s.capacity_bytes, rate(s.name)) for s in sizes),
        call_us=min(calls_us),
        bfloat16=rate("bfloat16") if "bfloat16" in probed else None,
        waited_share=float(measured["waited_share"]),
    )


def _run(folder: Path, num_threads: int, result: Path) -> dict[str, Any]:
    module = "octavo.compiler.roofline.child"
    command = [sys.executable, "-m", module, str(folder), str(num_threads), str(NUM_RUNS)]
    try:
        done = subprocess.run(
            [*command, str(result)],
            capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"measuring the machine's peaks failed: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise DeviceError(f"measuring the machine's peaks failed: {lines[-1]}")
    measured: dict[str, Any] = json.loads(result.read_text(encoding="ascii"))
    return measured


def _read(path: Path) -> Peaks | None:
    try:
        return peaks_from_entry(json.loads(path.read_text(encoding="ascii")))
    except (OSError, KeyError, TypeError, ValueError, RecursionError):
        return None  # a cache: what cannot be read is measured again


def _write(path: Path, peaks: Peaks) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="ascii", dir=path.parent, prefix=".new-", delete=False
    ) as file:
        json.dump(peaks_entry(peaks), file, indent=1)
    Path(file.name).replace(path)
