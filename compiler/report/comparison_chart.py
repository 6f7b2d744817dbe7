"""Geometry of the charts of a comparison. The template turns it into SVG."""

from dataclasses import dataclass

from octavo.compiler.report.charts import WIDTH, Chart, nice_steps
from octavo.compiler.report.comparison import Comparison, LayerChange, Span
from octavo.compiler.report.paired_chart import Pair, paired_chart
from octavo.compiler.report.roofline_chart import Mark
from octavo.compiler.report.units import time_text

ROW, ROW_GAP = 22.0, 8.0  # of the chart of whole runs, user units


@dataclass(frozen=True)
class SpanBar:
    """A horizontal bar with its limits.

    Attributes:
        label: Left of it.
        y: Top edge, user units.
        width: Extent to the right.
        height: Extent downwards.
        low: Where the limits begin.
        high: Where they end.
        kind: CSS class.
        title: What a pointer or a screen reader is told.
    """

    label: str
    y: float
    width: float
    height: float
    low: float
    high: float
    kind: str
    title: str


@dataclass(frozen=True)
class SpanChart:
    """Horizontal bars over one scale, WIDTH user units wide.

    Attributes:
        bars: From top to bottom.
        marks: Of the scale below them.
        height: Of all bars.
    """

    bars: tuple[SpanBar, ...]
    marks: tuple[Mark, ...]
    height: float


def run_chart(comparison: Comparison) -> SpanChart:
    """The whole run before and after."""
    verdict = comparison.verdict.name.lower()
    rows = (
        ("before", "before", comparison.run_before),
        ("after", verdict, comparison.run_after),
    )
    steps = nice_steps(max(span.high_us for *_, span in rows))
    unit_us = WIDTH / steps[-1]
    bars = tuple(
        _span_bar(label, kind, span, i * (ROW + ROW_GAP), unit_us)
        for i, (label, kind, span) in enumerate(rows)
    )
    marks = tuple(Mark(step * unit_us, time_text(step) if step else "0") for step in steps)
    return SpanChart(bars, marks, len(rows) * (ROW + ROW_GAP))


def _span_bar(label: str, kind: str, span: Span, y: float, unit_us: float) -> SpanBar:
    return SpanBar(
        label=label,
        y=y,
        width=span.latency_us * unit_us,
        height=ROW,
        low=span.low_us * unit_us,
        high=span.high_us * unit_us,
        kind=kind,
        title=f"{label}: {time_text(span.latency_us)}, {time_text(span.low_us)} to"
        f" {time_text(span.high_us)}",
    )


def layers_chart(comparison: Comparison) -> Chart:
    """Each layer in run order: its time before behind its time after."""
    return paired_chart(
        [
            Pair(
                behind_us=layer.before_time.latency_us if layer.before_time else None,
                front_us=layer.after_time.latency_us if layer.after_time else None,
                kind=layer.verdict.name.lower(),
                title=_title(layer),
            )
            for layer in comparison.layers
        ]
    )


def _title(layer: LayerChange) -> str:
    before, after = (
        "nothing" if time is None else time_text(time.latency_us)
        for time in (layer.before_time, layer.after_time)
    )
    return f"{layer.name}: {before} before, {after} after, {layer.verdict}"
