"""Times of the steps of programs: from the database, or measured side by side now."""

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from octavo.compiler.artifact.kernel_cache import KernelCache, with_stable_symbols
from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.devices import Device
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds
from octavo.compiler.example_inputs import example_inputs
from octavo.compiler.explain.float_twin import MODEL
from octavo.compiler.explain.program_steps import ProgramStep
from octavo.compiler.lowering.program import Program
from octavo.compiler.measurements.key import device_text, json_text, toolchain_text
from octavo.compiler.measurements.latencies import KernelLatency, LatencyStore
from octavo.compiler.measurements.profile_rows import profile_rows
from octavo.compiler.roofline.machine import Machine
from octavo.errors import DeviceError
from octavo.targets.base import Target


@dataclass(frozen=True)
class StepTime:
    """Time of one step.

    Attributes:
        latency_us: Median, microseconds.
        low_us: 25th percentile.
        high_us: 75th percentile.
    """

    latency_us: float
    low_us: float
    high_us: float


NO_TIME = StepTime(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class ProgramTimes:
    """Times of a program.

    Attributes:
        steps: In run order.
        measured_at: UTC, ISO 8601, of the oldest among them.
        is_new: They were measured now, not read from the database.
    """

    steps: tuple[StepTime, ...]
    measured_at: str
    is_new: bool


def explained_key(manifest: Mapping[str, Any], machine: Machine, num_threads: int) -> str:
    """What the ids of measurements begin with that explain an artifact on a machine."""
    model = manifest["files"][MODEL]
    facts = (model, manifest["steps"], device_text(machine), num_threads)
    text = json_text([*facts, toolchain_text()])
    return f"explain-{sha256(text.encode()).hexdigest()[:16]}"


def known_times(
    store: LatencyStore, key: str, programs: Sequence[Sequence[ProgramStep]]
) -> list[ProgramTimes] | None:
    """Look up what an earlier explanation measured: all programs in one go, or nothing.

    Single measurements from elsewhere would not do: the same kernel takes another time where
    other layers leave the caches otherwise.

    Args:
        store: The database.
        key: From ``explained_key``.
        programs: Steps of the artifact, and of the programs that it is compared with.

    Returns:
        One record for each program, from the newest time that all of them were measured; None
        where there is none.
    """
    newest: dict[str, dict[str, KernelLatency]] = defaultdict(dict)
    for row in store.with_ids(f"{key}-"):
        begun, place = row.id.removeprefix(f"{key}-").split("-", 1)
        newest[begun][place] = row
    places = [
        [f"{number}-{step.index}" for step in steps] for number, steps in enumerate(programs)]
    for _, rows in sorted(newest.items(), reverse=True):
        if all(place in rows for program in places for place in program):
            return [
                ProgramTimes(
                    tuple(_from_row(rows[place]) for place in program),
                    min(row.measured_at for row in rows.values()), is_new=False)
                for program in places]
    return None


def _from_row(row: KernelLatency) -> StepTime:
    return StepTime(row.latency_us, row.low_us, row.high_us)


def measured_times(
    device: Device, artifact: Path, programs: Sequence[Program], target: Target,
    plan: RoundPlan, key: str,
) -> tuple[list[ProgramTimes], list[KernelLatency]]:
    """Build programs and measure them beside an artifact, in turns.

    Args:
        device: Where.
        artifact: Folder that the compiler wrote; it is the first one.
        programs: The others.
        target: What they are compiled for.
        plan: How to measure; steps are timed.
        key: From ``explained_key``; ids of the rows begin with it.

    Returns:
        Times of the artifact and of the programs, and rows for the database.

    Raises:
        DeviceError: The device does not answer, or a program failed.
    """
    with tempfile.TemporaryDirectory(prefix="octavo-explain-") as name, ExitStack() as stack:
        folders = [artifact]
        kernels = KernelCache(Path(name))
        for index, program in enumerate(programs):
            folders.append(Path(name) / str(index))
            stable = with_stable_symbols(program)
            write_artifact(stable, target, None, folders[-1], kernel_cache=kernels)
        deployments = [stack.enter_context(device.deploy(folder)) for folder in folders]
        measured = measure_rounds(
            deployments, plan, example_inputs(read_manifest(artifact)))
        failed = next((m.failure for m in measured if m.failure), "")
        if failed:
            raise DeviceError(failed)
        machine = deployments[0].machine()
        now = datetime.now(UTC)
        begun = f"{key}-{now:%Y%m%dT%H%M%S%f}"
        times, rows = [], []
        for number, (folder, measurement) in enumerate(zip(folders, measured, strict=True)):
            steps_us = measurement.steps_us.tolist()
            manifest = read_manifest(folder)
            times.append(ProgramTimes(_summaries(steps_us), now.isoformat(), is_new=True))
            rows += profile_rows(
                manifest, steps_us, machine, plan.num_threads, f"{begun}-{number}")
        return times, rows


def _summaries(steps_us: Sequence[Sequence[float]]) -> tuple[StepTime, ...]:
    quartiles = (np.percentile(samples, (25, 50, 75)).tolist() for samples in steps_us)
    return tuple(StepTime(median, low, high) for low, median, high in quartiles)


def total(times: Sequence[StepTime], steps: Sequence[ProgramStep]) -> StepTime:
    """Times of some steps of a program added up."""
    parts = [times[step.index] for step in steps]
    return StepTime(
        sum(t.latency_us for t in parts), sum(t.low_us for t in parts),
        sum(t.high_us for t in parts))

