"""Geometry of the roofline chart: both axes logarithmic, a dot for each step.

Source: Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
multicore architectures", Communications of the ACM 52 (2009).
"""

import math
from dataclasses import dataclass

from octavo.compiler.report.records import Report
from octavo.compiler.report.units import time_text
from octavo.compiler.roofline.peaks import Peaks

WIDTH, HEIGHT = 960.0, 440.0  # SVG user units
MAX_RADIUS, MIN_RADIUS = 40.0, 3.5  # of a step that takes all of the time; of the shortest
LABEL_GAP = 5.0  # between a line and its name
MIN_DECADES = 2
FEW_DECADES = 4  # so many have room for marks inside a decade
ABOVE_PEAK = 1.05  # of the peak; nearer to it, a step is as fast as can be measured
# Axes may end at these parts of a decade, so that a chart is not half empty.
ENDS = (1.0, 2.0, 5.0)


@dataclass(frozen=True)
class Mark:
    """A labelled line of the scale, at ``at`` user units along its axis."""

    at: float
    label: str


@dataclass(frozen=True)
class RoofLine:
    """A limit.

    Attributes:
        x1, y1, x2, y2: Ends.
        kind: CSS class: "compute" or "bandwidth".
        label: What limits, and how much.
        label_x, label_y: Where the label starts or ends.
        angle: Of the label, degrees; negative rises.
        anchor: "start" or "end" of the label at that place.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    kind: str
    label: str
    label_x: float
    label_y: float
    angle: float
    anchor: str


@dataclass(frozen=True)
class Dot:
    """A step: its place, size, CSS class and hover text."""

    x: float
    y: float
    radius: float
    kind: str
    title: str


@dataclass(frozen=True)
class RooflineChart:
    """A drawing of WIDTH x HEIGHT user units.

    Attributes:
        x_marks: Multiply-accumulates per byte.
        y_marks: 10**9 multiply-accumulates a second.
        roofs: Limits.
        dots: Steps, large ones first so that small ones stay visible.
        hidden_steps: Steps without multiply-accumulates: they have no place here.
        hidden_share: Their share of the time, in [0, 1].
        steps_above: Steps faster than the machine multiplies: their kernels need fewer
            products than they are counted for.
    """

    x_marks: tuple[Mark, ...]
    y_marks: tuple[Mark, ...]
    roofs: tuple[RoofLine, ...]
    dots: tuple[Dot, ...]
    hidden_steps: int
    hidden_share: float
    steps_above: int

    @property
    def kinds(self) -> set[str]:
        """CSS classes of the dots, for the legend."""
        return {dot.kind for dot in self.dots}


@dataclass(frozen=True)
class _Axis:
    """A logarithmic scale from ``low`` to ``high`` over ``length`` user units."""

    low: float
    high: float
    length: float

    def at(self, value: float) -> float:
        return self.length * math.log(value / self.low) / math.log(self.high / self.low)

    @property
    def marks(self) -> list[float]:
        first, last = (math.floor(math.log10(v)) for v in (self.low, self.high))
        ends = ENDS if self.high / self.low <= 10.0**FEW_DECADES else ENDS[:1]
        found = (end * 10.0**power for power in range(first, last + 1) for end in ends)
        slack = 1 + 1e-9  # powers are rounded
        return [v for v in found if self.low <= v * slack and v <= self.high * slack]


def roofline_chart(report: Report) -> RooflineChart | None:
    """Draw the steps that multiply; None when there is none, or no roofline."""
    roofline = report.roofline
    if roofline is None:
        return None
    rows = list(zip(report.steps, report.latencies, roofline.steps, strict=True))
    shown = [row for row in rows if row[2].macs_per_byte > 0]
    if not shown:
        return None
    peaks = roofline.peaks[-1]
    placements = sorted({step.placement for step, _, _ in shown}, reverse=True)
    heights = {p: peaks.compute(p).best for p in placements}
    ridge = max(heights.values()) / peaks.levels[-1].rate.best  # where memory stops limiting
    x_axis = _axis([r.macs_per_byte for *_, r in shown] + [ridge], WIDTH)
    y_axis = _axis([r.gmacs_per_s for *_, r in shown] + list(heights.values()), HEIGHT)
    dots = [
        Dot(
            x=x_axis.at(r.macs_per_byte),
            y=HEIGHT - y_axis.at(r.gmacs_per_s),
            radius=max(MIN_RADIUS, MAX_RADIUS * math.sqrt(latency.share)),
            kind="int8" if step.placement == "int8" else "float",
            title=f"{step.index}: {step.name}, {time_text(latency.median_us)},"
            f" {r.gmacs_per_s:.0f} GMAC/s, {r.roof_share:.0%} of its roof ({r.bound_by}),"
            f" {time_text(r.gain_us)} to win",
        )
        for step, latency, r in shown
    ]
    hidden = [latency.share for _, latency, r in rows if r.macs_per_byte == 0]
    return RooflineChart(
        x_marks=tuple(Mark(x_axis.at(v), f"{v:g}") for v in x_axis.marks),
        y_marks=tuple(Mark(HEIGHT - y_axis.at(v), f"{v:g}") for v in y_axis.marks),
        roofs=(*_bandwidths(peaks, heights, x_axis, y_axis), *_tops(heights, y_axis)),
        dots=tuple(sorted(dots, key=lambda dot: -dot.radius)),
        hidden_steps=len(hidden),
        hidden_share=sum(hidden),
        steps_above=sum(r.peak_share > ABOVE_PEAK for *_, r in shown),
    )


def _axis(values: list[float], length: float) -> _Axis:
    """A scale around positive values, with some air, of at least ``MIN_DECADES``."""
    low, high = _end_below(min(values) / 1.3), _end_above(max(values) * 1.3)
    while high / low < 10.0**MIN_DECADES:
        low = _end_below(low * 0.99)
    return _Axis(low, high, length)


def _end_below(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    return decade * max((end for end in ENDS if decade * end <= value), default=1.0)


def _end_above(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    return decade * next((end for end in ENDS if decade * end >= value), 10.0)


def _bandwidths(
    peaks: Peaks, heights: dict[str, float], x_axis: _Axis, y_axis: _Axis
) -> list[RoofLine]:
    """Each level's line from the edge of the chart to the highest peak."""
    top = max(heights.values())
    lines = []
    for level in peaks.levels:
        rate = level.rate.best
        start = max(x_axis.low, y_axis.low / rate)
        end = min(x_axis.high, top / rate)
        if start >= end:  # the chart begins to the right of where this level limits
            continue
        x1, x2 = x_axis.at(start), x_axis.at(end)
        y1, y2 = (HEIGHT - y_axis.at(v * rate) for v in (start, end))
        slope = math.atan2(y2 - y1, x2 - x1)
        # Beside the lower end, above the line, a little way in.
        along = LABEL_GAP * 2
        lines.append(
            RoofLine(
                x1, y1, x2, y2, "bandwidth", f"{level.name} {rate:.0f} GB/s",
                x1 + along * math.cos(slope) + LABEL_GAP * math.sin(slope),
                y1 + along * math.sin(slope) - LABEL_GAP * math.cos(slope),
                math.degrees(slope), "start",
            )
        )  # fmt: skip
    return lines


def _tops(heights: dict[str, float], y_axis: _Axis) -> list[RoofLine]:
    """Names stand where few dots are: far left of the highest, else under it at the right."""
    lines = []
    highest = max(heights.values())
    for placement, peak in heights.items():
        y = HEIGHT - y_axis.at(peak)
        x, anchor = (LABEL_GAP, "start") if peak == highest else (WIDTH - LABEL_GAP, "end")
        label = f"{placement} {peak:.0f} GMAC/s"
        lines.append(RoofLine(0, y, WIDTH, y, "compute", label, x, y - LABEL_GAP, 0, anchor))
    return lines
