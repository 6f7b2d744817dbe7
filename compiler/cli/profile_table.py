"""``octavo profile`` on the terminal: the steps, and what the whole run takes."""

from typing import Any

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.roofline_table import steps_table
from octavo.compiler.report.bottlenecks import next_bottleneck, peaks_text, total_gain
from octavo.compiler.report.records import LatencyRecord, Report
from octavo.compiler.report.units import count_text, printable, time_text

NUM_SLOWEST = 15  # rows without -v


def profile_lines(console: Console, facts: Report, num_threads: int) -> list[Any]:
    """Table and closing lines of a profile.

    Args:
        console: How much is asked for.
        facts: With latencies.
        num_threads: Threads that ran it.
    """
    limit = 0 if console.verbosity > 0 else NUM_SLOWEST
    lines = []
    if facts.run is not None:
        runs = facts.num_runs
        lines.append(_run_line(facts.run, num_runs=runs, num_threads=num_threads))
    if facts.roofline is None:
        return [_steps_table(facts, limit=limit or None), *lines]
    lines += [peaks_text(p) for p in facts.roofline.peaks]
    lines += filter(None, (total_gain(facts), printable(next_bottleneck(facts))))
    return [steps_table(facts, limit=limit, is_wide=console.verbosity > 0), *lines]


def _steps_table(facts: Report, *, limit: int | None) -> Any:
    """Steps by time, slowest first; all of them in run order without a limit."""
    from rich.table import Table

    rows = list(zip(facts.steps, facts.latencies, strict=True))
    if limit is not None:
        rows = sorted(rows, key=lambda row: (-row[1].median_us, row[0].index))[:limit]
    table = Table(box=None, pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("step")
    table.add_column("kernel")
    table.add_column("arithmetic")
    for header in ("MACs", "median", "share", "cumulative"):
        table.add_column(header, justify="right")
    cumulative = 0.0
    for step, latency in rows:
        cumulative += latency.share
        table.add_row(
            str(step.index),
            printable(step.name),
            printable(step.variant),
            step.placement,
            count_text(step.macs),
            time_text(latency.median_us),
            f"{latency.share:.1%}",
            f"{cumulative:.1%}",
        )
    return table


def _run_line(run: LatencyRecord, *, num_runs: int, num_threads: int) -> str:
    return (
        f"whole run: {time_text(run.median_us)}, middle half {time_text(run.low_us)} to"
        f" {time_text(run.high_us)} ({num_runs} runs, {num_threads} thread"
        f"{'s' if num_threads > 1 else ''})"
    )
