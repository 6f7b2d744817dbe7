"""report.html: one page that needs no network, no script and no other file."""

from functools import cache
from importlib.resources import files
from typing import Any

from octavo.compiler.report import bottlenecks, charts, roofline_chart
from octavo.compiler.report.records import Report
from octavo.compiler.report.summary import summarize
from octavo.compiler.report.units import (
    count_text,
    decibel_text,
    printable,
    size_text,
    time_text,
)

NUM_SLOWEST = 15


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    # Names in models are untrusted: all values are escaped, and the policy forbids scripts.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "bytes": size_text,
        "capitalize_first": _capitalize_first,
        "count": count_text,
        "decibel": decibel_text,
        "time": time_text,
    }
    # The one place where text becomes output, so that no name can bring control characters in.
    environment.finalize = lambda value: printable(value) if type(value) is str else value
    source = files("octavo.compiler.report").joinpath("report.html.jinja")
    return environment.from_string(source.read_text(encoding="utf-8"))


def _capitalize_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def render_page(report: Report) -> str:
    """Render a report as HTML.

    Args:
        report: The facts. Without latencies or errors, the page says how to get them.

    Returns:
        A complete document. Equal reports give equal text.
    """
    summary = summarize(report)
    roofline = report.roofline
    measured = list(zip(report.steps, report.latencies, strict=False))
    slowest = sorted(measured, key=lambda row: (-row[1].median_us, row[0].index))
    counts = report.counted.steps if report.counted else ()
    counted = sorted(
        zip(report.steps, counts, strict=False),
        key=lambda row: (-row[1].instructions, row[0].index),
    )
    live = charts.live_bytes(report.buffers, len(report.steps))
    text: str = _template().render(
        report=report,
        summary=summary,
        width=charts.WIDTH,
        height=charts.HEIGHT,
        error_chart=charts.error_chart(report.errors, summary.worst_layers),
        latency_chart=charts.latency_chart(report) if measured else None,
        memory_chart=charts.memory_chart(report),
        roofline_chart=roofline_chart.roofline_chart(report),
        roofline_width=roofline_chart.WIDTH,
        roofline_height=roofline_chart.HEIGHT,
        by_gain=bottlenecks.steps_by_gain(report),
        kernels=bottlenecks.kernels_by_gain(report),
        next_bottleneck=bottlenecks.next_bottleneck(report),
        total_gain=bottlenecks.total_gain(report),
        peaks=[bottlenecks.peaks_text(p) for p in roofline.peaks] if roofline else [],
        measured=measured,
        counted=counted,
        slowest=slowest[:NUM_SLOWEST],
        num_slowest=NUM_SLOWEST,
        peak_step=report.steps[live.index(max(live))] if any(live) else None,
    )
    return text
