"""Times of the steps of programs: from the database, or measured side by side now."""

import tempfile
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from octavo.compiler.artifact.kernel_cache import KernelCache, with_stable_symbols
from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.devices import Device
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds
from octavo.compiler.explain.program_steps import ProgramStep
from octavo.compiler.lowering.program import Program
from octavo.compiler.measurements.key import Context, json_text
from octavo.compiler.measurements.latencies import KernelLatency, LatencyStore
from octavo.compiler.measurements.profile_rows import profile_rows
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


def known_times(
    store: LatencyStore, programs: Sequence[tuple[Sequence[ProgramStep], Context]]
) -> list[ProgramTimes] | None:
    """Look up every step of every program.

    Args:
        store: The database.
        programs: Steps, and in which context they ran.

    Returns:
        One record for each program, from the newest measurement of each step; None where one
        was not measured, or has no key to find it by.
    """
    contexts = {context for _, context in programs}
    newest: dict[tuple[Context, str, str, str], KernelLatency] = {}
    for row in store.latencies():
        key = row.key
        if key.context in contexts:
            place = (key.context, key.kernel, key.operation, json_text(row.schedule))
            known = newest.get(place)
            if known is None or known.measured_at <= row.measured_at:
                newest[place] = row
    found = []
    for steps, context in programs:
        rows = [
            newest.get((context, step.variant, step.operation, step.schedule))
            for step in steps]
        known_rows = [row for row in rows if row is not None]
        if len(known_rows) != len(rows) or not rows:
            return None
        found.append(ProgramTimes(
            tuple(StepTime(r.latency_us, r.low_us, r.high_us) for r in known_rows),
            min(row.measured_at for row in known_rows),
            is_new=False))
    return found


def measured_times(
    device: Device, artifact: Path, programs: Sequence[Program], target: Target,
    plan: RoundPlan,
) -> tuple[list[ProgramTimes], list[KernelLatency]]:
    """Build programs and measure them beside an artifact, in turns.

    Args:
        device: Where.
        artifact: Folder that the compiler wrote; it is the first one.
        programs: The others.
        target: What they are compiled for.
        plan: How to measure; steps are timed.

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
        measured = measure_rounds(deployments, plan)
        failed = next((m.failure for m in measured if m.failure), "")
        if failed:
            raise DeviceError(failed)
        machine = deployments[0].machine()
        now = datetime.now(UTC).isoformat()
        times, rows = [], []
        for folder, measurement in zip(folders, measured, strict=True):
            steps_us = measurement.steps_us.tolist()
            manifest = read_manifest(folder)
            times.append(ProgramTimes(_summaries(steps_us), now, is_new=True))
            rows += profile_rows(
                manifest, steps_us, machine, plan.num_threads, uuid.uuid4().hex)
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

