"""Explain an artifact: find or make the measurements, and read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.devices import Device
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.explain.alternatives import alternatives_of
from octavo.compiler.explain.explanation import Explanation
from octavo.compiler.explain.float_twin import artifact_target, float_twins, read_model
from octavo.compiler.explain.layers import MeasuredPrograms, explain_layers
from octavo.compiler.explain.program_steps import ProgramStep, manifest_steps, program_steps
from octavo.compiler.explain.step_times import ProgramTimes, known_times, measured_times
from octavo.compiler.lowering.program import Program
from octavo.compiler.measurements.key import (
    Context,
    code_text,
    device_text,
    toolchain_of,
    toolchain_text,
)
from octavo.compiler.measurements.latencies import LatencyStore
from octavo.compiler.roofline.machine import Machine
from octavo.compiler.roofline.peaks import Peaks
from octavo.errors import ArtifactError
from octavo.targets.base import Target


@dataclass(frozen=True)
class ExplainOptions:
    """How the times are found.

    Attributes:
        num_threads: Threads that run the model.
        measures: Measure, also where the database knows every step.
        keeps: Add what is measured to the database.
        seconds: No round of measuring begins after so many seconds.
    """

    num_threads: int = 1
    measures: bool = False
    keeps: bool = True
    seconds: float = 20.0


def explain_artifact(
    artifact: Path,
    device: Device,
    store: LatencyStore,
    peaks: Sequence[Peaks] = (),
    options: ExplainOptions | None = None,
) -> Explanation:
    """Explain every layer of an artifact.

    Args:
        artifact: Folder that the compiler wrote.
        device: Where it is, or was, measured.
        store: The database of measurements.
        peaks: Of that device; empty where they are not known.
        options: How the times are found.

    Raises:
        ArtifactError: It is no artifact, or one that lacks an entry.
        TargetError: The device does not run it.
        DeviceError: The device does not answer, or a program failed.
        StoreError: The database is damaged.
    """
    chosen = options or ExplainOptions()
    manifest = read_manifest(artifact)
    try:
        return _explain(artifact, manifest, device, store, peaks, chosen)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"{artifact}: cannot be explained ({type(error).__name__}: {error}); compile again"
        ) from error


def _explain(
    artifact: Path,
    manifest: dict[str, Any],
    device: Device,
    store: LatencyStore,
    peaks: Sequence[Peaks],
    options: ExplainOptions,
) -> Explanation:
    target = artifact_target(manifest)
    steps = manifest_steps(manifest)
    twins: list[Program] = []
    # A network without integers has nothing to be compared with.
    if any(step.placement == "int8" for step in steps):
        mode = str(manifest["metadata"].get("requantize", target.requantize))
        both = float_twins(artifact, target, mode)
        twins = [both.network, both.rounded]
    machine = _machine(device, artifact)
    context = _context(manifest, target, machine, options.num_threads)
    times, is_new = _times(
        artifact, manifest, device, store, twins, context, options, target)
    programs = MeasuredPrograms(
        steps, times[0].steps,
        program_steps(twins[0]) if twins else (), times[1].steps if twins else (),
        program_steps(twins[1]) if twins else (), times[2].steps if twins else ())
    layers = explain_layers(manifest, read_model(artifact).graph, programs, peaks, target)
    known = alternatives_of(store, steps, context)
    return Explanation(
        name=str(manifest["name"]),
        target=str(manifest["target"]),
        device=machine.cpu,
        num_threads=options.num_threads,
        measured_at=min(t.measured_at for t in times),
        is_new=is_new,
        latency_us=sum(t.latency_us for t in times[0].steps),
        float_us=sum(t.latency_us for t in times[1].steps) if twins else 0.0,
        layers=tuple(known.added_to(layer) for layer in layers),
    )


def _machine(device: Device, artifact: Path) -> Machine:
    with device.deploy(artifact) as deployment:
        return deployment.machine()


def _context(
    manifest: Mapping[str, Any], target: Target, machine: Machine, num_threads: int
) -> Context:
    toolchain = toolchain_of(manifest["versions"])
    return Context(code_text(target), device_text(machine), toolchain, num_threads)


def _times(
    artifact: Path,
    manifest: dict[str, Any],
    device: Device,
    store: LatencyStore,
    twins: Sequence[Program],
    context: Context,
    options: ExplainOptions,
    target: Target,
) -> tuple[list[ProgramTimes], bool]:
    """Times of the artifact and of its twins, from the database or measured now."""
    now = Context(context.code, context.device, toolchain_text(), context.num_threads)
    programs: list[tuple[Sequence[ProgramStep], Context]] = [
        (manifest_steps(manifest), context), *((program_steps(twin), now) for twin in twins)]
    known = None if options.measures else known_times(store, programs)
    if known is not None:
        return known, False
    plan = RoundPlan(seconds=options.seconds, num_threads=options.num_threads)
    times, rows = measured_times(device, artifact, twins, target, plan)
    if options.keeps:
        store.add(rows)
    return times, True
