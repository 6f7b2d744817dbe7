"""``octavo profile`` on the terminal: the steps, and what the whole run takes."""

from collections.abc import Iterator
from typing import Any

from octavo.compiler.cli.steps_table import steps_table
from octavo.compiler.report.bottlenecks import next_bottleneck, peaks_text, total_gain
from octavo.compiler.report.measured_steps import BY_ORDER, BY_TIME, measured_steps
from octavo.compiler.report.origin import Origin
from octavo.compiler.report.records import Report
from octavo.compiler.report.units import printable, time_text

NUM_SLOWEST = 15  # rows, unless all are asked for


def profile_lines(
    facts: Report, origin: Origin, *, sort: str | None, is_wide: bool
) -> list[Any]:
    """Table and closing lines of a profile.

    Args:
        facts: With latencies.
        origin: Where they come from.
        sort: Order of the steps: ``BY_TIME``; ``BY_ORDER``, which is only of use with all of
            them; None is the first.
        is_wide: All steps, with whole names.
    """
    rows = measured_steps(facts, sort or BY_TIME)
    num_rows = len(rows) if is_wide or sort == BY_ORDER else NUM_SLOWEST
    lines: list[Any] = [steps_table(rows[:num_rows], is_wide=is_wide)]
    if num_rows < len(rows):
        lines.append(f"the slowest {num_rows} of {len(rows)} steps; -v shows all")
    lines += _run_lines(facts, origin.num_threads)
    if facts.roofline is not None:
        lines += [peaks_text(p) for p in facts.roofline.peaks]
        lines += filter(None, (total_gain(facts), printable(next_bottleneck(facts))))
    return lines


def _run_lines(facts: Report, num_threads: int) -> Iterator[str]:
    run = facts.run
    if run is None:
        return
    threads = f"{num_threads} thread{'s' if num_threads > 1 else ''}"
    yield (
        f"whole run: p50 {time_text(run.median_us)}, p95 {time_text(run.p95_us)}, middle half"
        f" {time_text(run.low_us)} to {time_text(run.high_us)} ({facts.num_runs} runs,"
        f" {threads})"
    )
    if run.interval_us is not None:
        low, high = (time_text(end) for end in run.interval_us)
        yield f"p50 of the whole run with 95% confidence: {low} to {high}"
