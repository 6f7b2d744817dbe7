"""What to work on next: steps and kernels by the time that they could win, in words too."""

from collections.abc import Callable
from dataclasses import dataclass

from octavo.compiler.report.records import LatencyRecord, Report, StepRecord
from octavo.compiler.report.units import time_text
from octavo.compiler.roofline.peaks import Peaks
from octavo.compiler.roofline.roofline import StepRoofline

StepRow = tuple[StepRecord, LatencyRecord, StepRoofline]


@dataclass(frozen=True)
class StepGroup:
    """Steps that win together.

    Attributes:
        kernel: Name of their kernel.
        steps: Their indices, the one with the most to win first.
        latency_us: Sum of their medians.
        share: Of all steps, in [0, 1].
        gmacs_per_s: Multiply-accumulates over that time, 10**9 a second.
        roof_share: Sum of the least times over the sum of the measured ones.
        bound_by: What bounds the first one.
        gain_us: What could be won.
    """

    kernel: str
    steps: tuple[int, ...]
    latency_us: float
    share: float
    gmacs_per_s: float
    roof_share: float
    bound_by: str
    gain_us: float


def steps_by_gain(report: Report) -> list[StepRow]:
    """Measured steps, the one with the most to win first; empty without a roofline."""
    if report.roofline is None:
        return []
    rows = zip(report.steps, report.latencies, report.roofline.steps, strict=True)
    return sorted(rows, key=lambda row: (-row[2].gain_us, row[0].index))


def kernels_by_gain(report: Report) -> list[StepGroup]:
    """The same for kernels, whatever their tiles and sizes."""
    return _groups(report, kernel_name)


def equal_steps_by_gain(report: Report) -> list[StepGroup]:
    """The same for steps that call one function: equal layers win together."""
    return _groups(report, lambda step: step.function)


def kernel_name(step: StepRecord) -> str:
    """The kernel without instructions and tiles; "relax" for what TVM made of an island."""
    return step.variant.split(".", 1)[0] or step.placement


def _groups(report: Report, key: Callable[[StepRecord], str]) -> list[StepGroup]:
    groups: dict[str, list[StepRow]] = {}
    for row in steps_by_gain(report):
        groups.setdefault(key(row[0]), []).append(row)
    found = [_group(rows) for rows in groups.values()]
    return sorted(found, key=lambda group: (-group.gain_us, group.steps))


def _group(rows: list[StepRow]) -> StepGroup:
    latency_us = sum(latency.median_us for _, latency, _ in rows)
    roof_us = sum(found.roof_us for *_, found in rows)
    macs = sum(step.macs for step, *_ in rows)
    return StepGroup(
        kernel=kernel_name(rows[0][0]),
        steps=tuple(step.index for step, *_ in rows),
        latency_us=latency_us,
        share=sum(latency.share for _, latency, _ in rows),
        gmacs_per_s=macs / latency_us * 1e-3 if latency_us else 0.0,
        roof_share=roof_us / latency_us if latency_us else 1.0,
        bound_by=rows[0][2].bound_by,
        gain_us=sum(found.gain_us for *_, found in rows),
    )


def next_bottleneck(report: Report) -> str:
    """The layers with the most to win; "" where there are none, or no roofline."""
    groups = equal_steps_by_gain(report)
    if not groups or groups[0].gain_us <= 0:
        return ""
    group = groups[0]
    others = len(group.steps) - 1
    more = f" and {others} more like it" if others else ""
    return (
        f"next bottleneck: {report.steps[group.steps[0]].name}{more} ({group.kernel}),"
        f" {group.share:.1%} of the time at {group.roof_share:.0%} of"
        f" {'their roofs' if others else 'its roof'} ({group.bound_by}):"
        f" {time_text(group.gain_us)} could be won"
    )


def total_gain(report: Report) -> str:
    """What all steps together could win; "" without a roofline."""
    if report.roofline is None:
        return ""
    total_us = sum(record.median_us for record in report.latencies)
    return (
        f"all steps together: {time_text(report.roofline.gain_us)} of {time_text(total_us)}"
        " above their roofs"
    )


def peaks_text(peaks: Peaks) -> str:
    """Peaks on one line."""
    levels = ", ".join(f"{x.name} {x.rate.best:.0f}" for x in peaks.levels)
    threads = f"{peaks.num_threads} thread{'s' if peaks.num_threads > 1 else ''}"
    half = "" if peaks.bfloat16 is None else f" bfloat16 {peaks.bfloat16.best:.0f},"
    return (
        f"peaks, {threads}: int8 {peaks.int8.best:.0f},{half} float32 {peaks.float32.best:.0f}"
        f" GMAC/s; {levels} GB/s; call {time_text(peaks.call_us)}"
    )
