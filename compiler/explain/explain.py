"""Explain an artifact: find or make the measurements, and read them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.devices import Device
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.explain.alternatives import alternatives_of
from octavo.compiler.explain.explanation import Explanation
from octavo.compiler.explain.float_twin import (
    artifact_target,
    float_network,
    mixed_programs,
    read_model,
)
from octavo.compiler.explain.layers import MeasuredMixed, MeasuredPrograms, explain_layers
from octavo.compiler.explain.program_steps import manifest_steps, program_steps
from octavo.compiler.explain.step_times import explained_key, known_times, measured_times
from octavo.compiler.measurements.key import Context, code_text, device_text, toolchain_of
from octavo.compiler.measurements.latencies import LatencyStore
from octavo.compiler.roofline.peaks import Peaks
from octavo.errors import ArtifactError


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
    note: Callable[[str], None] = lambda text: None,
) -> Explanation:
    """Explain every layer of an artifact.

    Args:
        artifact: Folder that the compiler wrote.
        device: Where it is, or was, measured.
        store: The database of measurements.
        peaks: Of that device; empty where they are not known.
        options: How the times are found.
        note: Called with what takes a while.

    Raises:
        ArtifactError: It is no artifact, or one that lacks an entry.
        TargetError: The device does not run it.
        DeviceError: The device does not answer, or a program failed.
        StoreError: The database is damaged.
    """
    chosen = options or ExplainOptions()
    manifest = read_manifest(artifact)
    try:
        return _explain(artifact, manifest, device, store, peaks, chosen, note)
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
    note: Callable[[str], None],
) -> Explanation:
    target = artifact_target(manifest)
    steps = manifest_steps(manifest)
    mode = str(manifest["metadata"].get("requantize", target.requantize))
    mixed = mixed_programs(artifact, target, mode, steps)
    # A network without integers has nothing to be compared with.
    twins = [m.program for m in mixed]
    if mixed:
        twins.append(float_network(artifact, target, mode))
    with device.deploy(artifact) as deployment:
        machine = deployment.machine()
    key = explained_key(manifest, machine, options.num_threads)
    programs = [steps, *(program_steps(twin) for twin in twins)]
    times = None if options.measures else known_times(store, key, programs)
    if times is None:
        note(f"compiling {len(twins)} programs to compare with, and measuring for"
             f" {options.seconds:g} s")
        plan = RoundPlan(seconds=options.seconds, num_threads=options.num_threads)
        times, rows = measured_times(device, artifact, twins, target, plan, key)
        if options.keeps:
            store.add(rows)
    measured = MeasuredPrograms(steps, times[0].steps, tuple(
        MeasuredMixed(m.steps, program_steps(m.program), found.steps)
        for m, found in zip(mixed, times[1:-1], strict=True)))
    layers = explain_layers(manifest, read_model(artifact).graph, measured, peaks, target)
    context = Context(
        code_text(target), device_text(machine), toolchain_of(manifest["versions"]),
        options.num_threads)
    known = alternatives_of(store, steps, context)
    return Explanation(
        name=str(manifest["name"]),
        target=str(manifest["target"]),
        device=machine.cpu,
        num_threads=options.num_threads,
        measured_at=times[0].measured_at,
        is_new=times[0].is_new,
        latency_us=sum(t.latency_us for t in times[0].steps),
        float_us=sum(t.latency_us for t in times[-1].steps) if mixed else 0.0,
        layers=tuple(known.added_to(layer) for layer in layers),
    )
