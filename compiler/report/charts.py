"""Geometry of the report's charts. The template turns it into SVG; nothing here is markup."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from octavo.compiler.report.measured_steps import MeasuredStep
from octavo.compiler.report.records import BufferRecord, ErrorRecord, Report

WIDTH = 960.0  # SVG user units; the page scales the drawing to its width
HEIGHT = 220.0
MIN_BAR = 0.8  # the thinnest bar that is still seen
SMALLEST_SCALE = 1e-6  # below it a chart is flat


@dataclass(frozen=True)
class Bar:
    """A rectangle of a chart.

    Attributes:
        x: Left edge, user units.
        y: Top edge.
        width: Extent to the right.
        height: Extent downwards.
        kind: CSS class, one of this module's own words.
        title: What a pointer or a screen reader is told.
    """

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True)
class Tick:
    """A labelled line across the chart at height ``y``."""

    y: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A drawing of WIDTH x HEIGHT user units.

    Attributes:
        bars: Rectangles, first drawn first.
        points: A line over them, as (x, y); empty when there is none.
        ticks: Horizontal lines of the scale.
    """

    bars: tuple[Bar, ...]
    points: tuple[tuple[float, float], ...]
    ticks: tuple[Tick, ...]

    @property
    def kinds(self) -> set[str]:
        """CSS classes that it has, for its legend; "over" for the line."""
        return {bar.kind for bar in self.bars} | ({"over"} if self.points else set())


def column_chart(
    values: Sequence[float],
    kinds: Sequence[str],
    titles: Sequence[str],
    *,
    unit: str,
    line: Sequence[float] = (),
) -> Chart:
    """One column per value, side by side.

    Args:
        values: Heights; negative ones are drawn as 0, infinite ones as the top.
        kinds: CSS class of each column.
        titles: Hover text of each column.
        unit: Written behind the scale's labels.
        line: A second series over the same columns, same unit; empty for none.

    Returns:
        The chart.
    """
    finite = [v for v in (*values, *line) if v != float("inf")]
    steps = nice_steps(max(finite, default=0.0))
    top = steps[-1]
    pitch = WIDTH / max(len(values), 1)
    gap = min(2.0, pitch * 0.2)

    def height(value: float) -> float:
        return HEIGHT * min(max(value, 0.0), top) / top

    bars = tuple(
        Bar(
            x=i * pitch + gap / 2,
            y=HEIGHT - max(height(value), MIN_BAR),
            width=max(pitch - gap, MIN_BAR),
            height=max(height(value), MIN_BAR),
            kind=kind,
            title=title,
        )
        for i, (value, kind, title) in enumerate(zip(values, kinds, titles, strict=True))
    )
    points = tuple(((i + 0.5) * pitch, HEIGHT - height(v)) for i, v in enumerate(line))
    ticks = tuple(Tick(HEIGHT - height(s), f"{s:g} {unit}") for s in steps)
    return Chart(bars, points, ticks)


def nice_steps(maximum: float) -> list[float]:
    """Round numbers from 0 to at least ``maximum``, three to seven of them."""
    if maximum < SMALLEST_SCALE:
        return [0.0, 1.0]
    magnitude = 10.0 ** math.floor(math.log10(maximum))
    factors = (0.2, 0.25, 0.5, 1.0, 2.0, 2.5)
    step = next(f * magnitude for f in factors if f * magnitude * 5 >= maximum)
    return [i * step for i in range(math.ceil(maximum / step) + 1)]


def error_chart(errors: Sequence[ErrorRecord], worst: Sequence[ErrorRecord]) -> Chart:
    """Isolated error as columns, cumulative error as a line, in the model's order."""
    return column_chart(
        [e.sqnr_isolated_db for e in errors],
        ["worst" if e in worst else "int8" for e in errors],
        [
            f"{e.layer} ({e.op_type}): {e.sqnr_isolated_db:.1f} dB alone,"
            f" {e.sqnr_cumulative_db:.1f} dB with all before it"
            for e in errors
        ],
        unit="dB",
        line=[e.sqnr_cumulative_db for e in errors],
    )


def latency_chart(rows: Sequence[MeasuredStep]) -> Chart:
    """Median time of each step as columns, in the order that is given."""
    return column_chart(
        [row.latency.median_us for row in rows],
        [_arithmetic(row) for row in rows],
        [
            f"{row.step.index}: {row.step.name}, {row.latency.median_us:.1f} us"
            f" ({row.latency.share:.1%})"
            for row in rows
        ],
        unit="us",
    )


def cumulative_chart(slowest: Sequence[MeasuredStep]) -> Chart:
    """Share of the time that the slowest steps have together, as columns.

    Args:
        slowest: Steps by time, the slowest first.
    """
    return column_chart(
        [100 * row.cumulative for row in slowest],
        [_arithmetic(row) for row in slowest],
        [
            f"the slowest {i}: {row.cumulative:.1%}, with {row.step.index}:"
            f" {row.step.name} ({row.latency.share:.1%})"
            for i, row in enumerate(slowest, 1)
        ],
        unit="%",
    )


def cumulative_text(slowest: Sequence[MeasuredStep]) -> str:
    """In how many of the slowest steps half and most of the time is, in words."""
    half, most = (
        next((i for i, row in enumerate(slowest, 1) if row.cumulative >= part), len(slowest))
        for part in (0.5, 0.9)
    )
    return (
        f"The slowest steps together: half of the time is in {half} of {len(slowest)},"
        f" 90% in {most}."
    )


def _arithmetic(row: MeasuredStep) -> str:
    return "int8" if row.step.placement == "int8" else "float"


def live_bytes(buffers: Sequence[BufferRecord], num_steps: int) -> list[int]:
    """Bytes that must be kept at each step."""
    return [
        sum(b.num_bytes for b in buffers if b.first_step <= step <= b.last_step)
        for step in range(num_steps)
    ]


def memory_chart(report: Report) -> Chart:
    """Buffers as rectangles, run time to the right and the arena upwards."""
    num_steps = max(len(report.steps), 1)
    arena = max(report.arena_bytes, 1)
    pitch = WIDTH / num_steps
    unit_bytes, unit = next(
        (size, name)
        for size, name in ((1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))
        if arena >= size
    )
    steps = nice_steps(arena / unit_bytes)
    scale = HEIGHT / (steps[-1] * unit_bytes)
    bars = []
    for i, b in enumerate(report.buffers):
        first, last = max(b.first_step, 0), min(b.last_step, num_steps - 1)
        bars.append(
            Bar(
                x=first * pitch,
                y=HEIGHT - (b.offset_bytes + b.num_bytes) * scale,
                width=(last - first + 1) * pitch,
                height=b.num_bytes * scale,
                # Neighbours in the list are neighbours in time: shades keep them apart.
                kind=f"shade{i % 3}",
                title=f"{b.name}: {b.num_bytes} bytes at {b.offset_bytes},"
                f" steps {first} to {last}",
            )
        )
    points = []
    for i, live in enumerate(live_bytes(report.buffers, num_steps) if report.buffers else ()):
        y = HEIGHT - live * scale
        points += [(i * pitch, y), ((i + 1) * pitch, y)]
    ticks = tuple(Tick(HEIGHT - s * unit_bytes * scale, f"{s:g} {unit}") for s in steps)
    return Chart(tuple(bars), tuple(points), ticks)
