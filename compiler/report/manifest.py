"""From ``manifest.json`` to report records."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from octavo.compiler.report.records import (
    BufferRecord,
    ErrorRecord,
    LatencyRecord,
    Report,
    StepRecord,
    error_records,
    latency_records,
)
from octavo.compiler.report.rounding import rounding_from_manifest
from octavo.compiler.report.selection import selection_from_manifest
from octavo.compiler.roofline.peaks import Peaks
from octavo.compiler.roofline.roofline import MeasuredStep, Roofline, measured_roofline
from octavo.compiler.roofline.traffic import Traffic
from octavo.errors import ArtifactError


def report_from_manifest(
    manifest: Mapping[str, Any],
    *,
    errors: Iterable[Any] | None = None,
    samples_us: Sequence[Sequence[float]] = (),
    runs_us: Sequence[float] | None = None,
    round_sizes: Sequence[int] = (),
    peaks: Sequence[Peaks] = (),
) -> Report:
    """Gather what there is to show about an artifact.

    Args:
        manifest: The content of manifest.json.
        errors: Per-layer errors; those of the manifest when None.
        samples_us: Per step, the time of each run in microseconds; empty when not measured.
        runs_us: Times of whole runs; the sums over the steps when None.
        round_sizes: How many of the runs each process measured; empty: not known.
        peaks: Of the machine that measured, see ``artifact_peaks``; empty for no roofline.

    Returns:
        The report.

    Raises:
        ArtifactError: The manifest lacks an entry, or one is of the wrong kind.
    """
    whole = _whole_runs(samples_us) if runs_us is None else runs_us
    latencies = latency_records(samples_us, round_sizes)
    run = latency_records([whole], round_sizes)[0] if len(whole) else None
    try:
        steps = tuple(_step(i, s) for i, s in enumerate(manifest["steps"]))
        report = _report(manifest, steps, errors, latencies, run, len(whole))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"manifest.json is malformed ({type(error).__name__}: {error}); compile again"
        ) from error
    if samples_us and len(samples_us) != len(steps):
        raise ArtifactError(f"{len(samples_us)} timings for {len(steps)} steps; compile again")
    if peaks and samples_us:
        return replace(report, roofline=_roofline(report, peaks))
    return report


def _roofline(report: Report, peaks: Sequence[Peaks]) -> Roofline:
    measured = (
        MeasuredStep(step.macs, step.placement, step.traffic, latency.median_us)
        for step, latency in zip(report.steps, report.latencies, strict=True)
    )
    weights_bytes = report.weights_memory_bytes or report.weights_bytes
    return measured_roofline(measured, weights_bytes + report.arena_bytes, peaks)


def _report(
    manifest: Mapping[str, Any],
    steps: tuple[StepRecord, ...],
    errors: Iterable[Any] | None,
    latencies: tuple[LatencyRecord, ...],
    run: LatencyRecord | None,
    num_runs: int,
) -> Report:
    memory = manifest["memory"]
    metadata = manifest.get("metadata", {})
    records = error_records(metadata.get("layer_errors", ()) if errors is None else errors)
    outputs_db = metadata.get("output_sqnr_db", {}).values()
    return Report(
        name=str(manifest["name"]),
        target=str(manifest["target"]),
        steps=steps,
        arena_bytes=int(memory["arena_bytes"]),
        arena_lower_bound_bytes=int(memory["lower_bound_bytes"]),
        weights_bytes=int(memory["weights_bytes"]),
        weights_memory_bytes=_expanded_bytes(memory),
        buffers=tuple(_buffer(b) for b in memory.get("buffers", ())),
        errors=records,
        output_sqnr_db=_output_sqnr_db(records, outputs_db),
        latencies=latencies,
        run=run,
        num_runs=num_runs,
        files=tuple(sorted((str(k), str(v)) for k, v in manifest.get("files", {}).items())),
        versions=tuple(
            sorted((str(k), str(v)) for k, v in manifest.get("versions", {}).items())
        ),
        selection=selection_from_manifest(manifest),
        rounding=rounding_from_manifest(metadata),
        accelerator=str(manifest.get("target_details", {}).get("accelerator", "")),
    )


def _expanded_bytes(memory: Mapping[str, Any]) -> int:
    packed = memory.get("num_packed_weights", 0)
    return int(memory["weights_memory_bytes"]) if packed else 0


def _whole_runs(samples_us: Sequence[Sequence[float]]) -> Sequence[float]:
    """Sums over the steps, for want of runs without clocks between them."""
    if not samples_us:
        return ()
    total: list[float] = np.sum(np.asarray(samples_us, dtype=np.float64), axis=0).tolist()
    return total


def _output_sqnr_db(
    errors: tuple[ErrorRecord, ...], outputs_db: Iterable[float | None]
) -> float | None:
    # Without the outputs' own numbers the last layer's stand for them.
    measured = [float("inf") if value is None else float(value) for value in outputs_db]
    measured = measured or [e.sqnr_cumulative_db for e in errors[-1:]]
    return min(measured, default=None)


def _step(index: int, entry: Mapping[str, Any]) -> StepRecord:
    return StepRecord(
        index=index,
        name=str(entry["name"]),
        op_types=tuple(str(op) for op in entry["op_types"]),
        placement=str(entry["placement"]),
        variant=str(entry["variant"]),
        function=str(entry["kernel"]),
        macs=int(entry["macs"]),
        reason=str(entry.get("reason", "")),
        traffic=Traffic(
            read_bytes=int(entry["read_bytes"]),
            weight_bytes=int(entry["weight_bytes"]),
            written_bytes=int(entry["written_bytes"]),
        ),
        is_tuned=None if entry.get("schedule") is None else bool(entry.get("tuned")),
        on_accelerator=bool(entry.get("on_accelerator")),
        nodes=tuple(str(node) for node in entry.get("nodes", ()) if node),
        schedule=_schedule(entry.get("schedule")),
    )


def _schedule(record: object) -> str:
    return "" if record is None else json.dumps(record, sort_keys=True, separators=(",", ":"))


def _buffer(entry: Mapping[str, Any]) -> BufferRecord:
    return BufferRecord(
        name=str(entry["name"]),
        offset_bytes=int(entry["offset_bytes"]),
        num_bytes=int(entry["num_bytes"]),
        first_step=int(entry["first_step"]),
        last_step=int(entry["last_step"]),
    )
