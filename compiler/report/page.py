"""report.html: one page that needs no network, no script and no other file."""

from octavo.compiler.report import bottlenecks, charts, roofline_chart
from octavo.compiler.report.comparison import Comparison
from octavo.compiler.report.comparison_facts import comparison_facts
from octavo.compiler.report.measured_steps import BY_TIME, measured_steps
from octavo.compiler.report.page_environment import page_environment
from octavo.compiler.report.records import Report
from octavo.compiler.report.selection_chart import selection_chart
from octavo.compiler.report.summary import summarize


def render_comparison(comparison: Comparison) -> str:
    """Render a comparison of two profiles as HTML, as ``render_page`` does an artifact."""
    template = page_environment().get_template("comparison.html.jinja")
    text: str = template.render(facts=comparison_facts(comparison))
    return text


def render_page(report: Report, comparison: Comparison | None = None) -> str:
    """Render a report as HTML.

    Args:
        report: The facts. Without latencies or errors, the page says how to get them.
        comparison: Of its latencies with earlier ones; None for none.

    Returns:
        A complete document. Equal reports give equal text.
    """
    summary = summarize(report)
    roofline = report.roofline
    measured, slowest = measured_steps(report), measured_steps(report, BY_TIME)
    counts = report.counted.steps if report.counted else ()
    counted = sorted(
        zip(report.steps, counts, strict=False),
        key=lambda row: (-row[1].instructions, row[0].index),
    )
    live = charts.live_bytes(report.buffers, len(report.steps))
    template = page_environment().get_template("report.html.jinja")
    text: str = template.render(
        report=report,
        summary=summary,
        comparison=None if comparison is None else comparison_facts(comparison),
        error_chart=charts.error_chart(report.errors, summary.worst_layers),
        latency_chart=charts.latency_chart(measured),
        cumulative_chart=charts.cumulative_chart(slowest),
        half_text=charts.cumulative_text(slowest),
        selection_chart=selection_chart(report.selection),
        memory_chart=charts.memory_chart(report),
        roofline_chart=roofline_chart.roofline_chart(report),
        by_gain=bottlenecks.steps_by_gain(report),
        kernels=bottlenecks.kernels_by_gain(report),
        next_bottleneck=bottlenecks.next_bottleneck(report),
        total_gain=bottlenecks.total_gain(report),
        peaks=[bottlenecks.peaks_text(p) for p in roofline.peaks] if roofline else [],
        measured=measured,
        counted=counted,
        slowest=slowest,
        peak_step=report.steps[live.index(max(live))] if any(live) else None,
    )
    return text
