"""A comparison of runtimes on the terminal."""

import math
from collections.abc import Callable
from typing import Any

from octavo.compiler.bench.agreement import Agreement
from octavo.compiler.bench.result import BenchResult, BenchTable, Row
from octavo.compiler.cli.console import Console
from octavo.compiler.cli.fitting_table import Column, FittingTable, Named
from octavo.compiler.report.comparison import Verdict
from octavo.compiler.report.units import decibel_text, size_text, time_text

INPUTS = {
    "given": "the inputs that were given",
    "samples": "the first samples",
    "synthetic": "made-up inputs",
}
STYLES = {Verdict.FASTER: "green", Verdict.SLOWER: "red", Verdict.NOISE: "dim"}


def bench_lines(console: Console, result: BenchResult) -> list[Any]:
    """A line and a table for each number of threads, and what loading takes.

    Args:
        console: How much is asked for.
        result: What to show.
    """
    is_wide = console.verbosity > 0
    lines: list[Any] = []
    for table in result.tables:
        lines += [_heading(table, result.inputs), times_table(table, is_wide=is_wide)]
        lines += [*_lost(table), ""]
    return [*lines, loading_table(result.tables[0], is_wide=is_wide)]


def _heading(table: BenchTable, inputs: str) -> str:
    reference = table.reference
    who = "Octavo" if reference is None else reference.full_title
    threads = _count(table.num_threads, "thread")
    return (
        f"{threads}, {_count(table.num_rounds, 'round')} in turns on {INPUTS[inputs]};"
        f" outputs against {who}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def times_table(table: BenchTable, *, is_wide: bool = False) -> FittingTable[Row]:
    """How fast everybody is, and how right."""
    base = table.rows[0].contestant.title
    columns = (
        Column[Row]("median", _median),
        Column[Row]("10% to 90%", _spread),
        Column[Row]("output", _output, "left"),
        Column[Row](f"against {base}", _speedup, "left", style=_style),
    )
    layouts = (columns, columns[:1] + columns[2:], columns[:1] + columns[3:])
    return FittingTable(
        table.in_rows, _named(lambda row: row.contestant.note), layouts, is_wide=is_wide
    )


def _lost(table: BenchTable) -> list[str]:
    """Who lost the trial, in a line."""
    lost = [
        f"{row.contestant.full_title} {row.lost.ratio:.2f}x"
        for row in table.rows
        if row.lost is not None
    ]
    return [f"slower in a trial: {', '.join(lost)}"] if lost else []


def loading_table(table: BenchTable, *, is_wide: bool = False) -> FittingTable[Row]:
    """What everybody takes before the first run, and in memory."""
    columns = (
        Column[Row]("version", _version, "left"),
        Column[Row]("file", lambda row: size_text(row.model_bytes)),
        Column[Row]("load", _load),
        Column[Row]("first run", _first_run),
        Column[Row]("memory", _memory),
    )
    rows = [row for row in table.in_rows if row.loaded is not None]
    return FittingTable(rows, _named(lambda _: ""), (columns, columns[1:]), is_wide=is_wide)


def _named(detail: Callable[[Row], str]) -> Named[Row]:
    return Named[Row](
        header="program",
        name=lambda row: row.contestant.title,
        detail_header="",
        detail=detail,
        detail_is_last=True,
    )


def _version(row: Row) -> str:
    return row.loaded.version if row.loaded else ""


def _first_run(row: Row) -> str:
    return _time(row.loaded.first_run_us if row.loaded else None)


def _time(time_us: float | None) -> str:
    return "" if time_us is None else time_text(time_us)


def _median(row: Row) -> str:
    if row.latency_us is None:
        return "failed"
    return f"{'~' if row.noise else ''}{time_text(row.latency_us)}"


def _spread(row: Row) -> str:
    if row.spread_us is None:
        return ""
    low, high = (time_text(time_us) for time_us in row.spread_us)
    unit = high.partition(" ")[2]
    return f"{low.removesuffix(f' {unit}')} to {high}"


def _load(row: Row) -> str:
    return _time(row.loaded.load_us if row.loaded else None)


def _memory(row: Row) -> str:
    peak = row.loaded.peak_bytes if row.loaded else None
    return "" if peak is None else size_text(peak)


def _output(row: Row) -> str:
    return "" if row.agreement is None else agreement_text(row.agreement)


def agreement_text(agreement: Agreement) -> str:
    """How far outputs are from the reference's, in a few words."""
    if agreement.equal_share == 1.0:
        return "equal"
    if agreement.max_steps is None:
        return decibel_text(agreement.sqnr_db)
    # Below 100%, whatever it is rounded to.
    share = min(agreement.equal_share, 0.999)
    if math.isinf(agreement.max_steps):
        return f"{share:.1%} equal, no numbers"
    steps = max(1, round(agreement.max_steps))
    return f"{share:.1%} equal, {_count(steps, 'step')}"


def _speedup(row: Row) -> str:
    span = row.speedup
    if span is None:
        return "not compared" if row.is_same_network is False else ""
    if span.low_us == span.high_us:  # rounds are too few to say how well it is known
        return f"~{_ratio_text(span.latency_us)}"
    if row.verdict is Verdict.NOISE:
        return f"as fast ({span.low_us:.2f} to {span.high_us:.2f})"
    low, high = span.low_us, span.high_us
    if row.verdict is Verdict.SLOWER:
        low, high = 1 / high, 1 / low
    return f"{_ratio_text(span.latency_us)} ({low:.2f} to {high:.2f})"


def _ratio_text(ratio: float) -> str:
    return f"{ratio:.2f}x slower" if ratio >= 1 else f"{1 / ratio:.2f}x faster"


def _style(row: Row) -> str:
    return "" if row.verdict is None else STYLES.get(row.verdict, "")
