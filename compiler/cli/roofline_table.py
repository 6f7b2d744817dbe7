"""Rooflines as the command prints them."""

from collections.abc import Sequence
from typing import Any

from octavo.compiler.report.bottlenecks import steps_by_gain
from octavo.compiler.report.records import Report
from octavo.compiler.report.units import count_text, printable, size_text, time_text
from octavo.compiler.roofline.peaks import Peaks, Rate

NAME_COLUMNS = 34  # with the other columns a table of 100
MIN_NAME_COLUMNS = 12  # on a narrow terminal names break over lines, numbers do not
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def steps_table(report: Report, *, limit: int, is_wide: bool) -> Any:
    """Measured steps against their roofs.

    Args:
        report: With a roofline.
        limit: Rows, the slowest steps first; 0 for all of them in run order.
        is_wide: Whole names, and columns for the kernel, its arithmetic and its work.
    """
    from rich.table import Table

    rows = sorted(steps_by_gain(report), key=lambda row: row[0].index)
    if limit:
        rows = sorted(rows, key=lambda row: (-row[1].median_us, row[0].index))[:limit]
    table = Table(box=None, pad_edge=False)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("step", overflow="fold", min_width=MIN_NAME_COLUMNS)
    if is_wide:
        table.add_column("kernel", overflow="fold")
        table.add_column("arithmetic", no_wrap=True)
    numbers = ("MACs", "bytes") if is_wide else ()
    for header in (*numbers, "median", "share", "GMAC/s", "of peak", "GB/s", "of roof"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("bound by", no_wrap=True)
    for step, latency, found in rows:
        name = printable(step.name)
        cells = [str(step.index), name if is_wide else shorten(name, NAME_COLUMNS)]
        if is_wide:
            cells += [printable(step.variant), step.placement, count_text(step.macs)]
            cells.append(size_text(found.num_bytes))
        cells += [time_text(latency.median_us), f"{latency.share:.1%}"]
        # Without products there is nothing to compare with the arithmetic's peak.
        cells += (
            [f"{found.gmacs_per_s:.1f}", f"{found.peak_share:.0%}"] if step.macs else ["", ""]
        )
        cells += [f"{found.gbytes_per_s:.1f}", f"{found.roof_share:.0%}", found.bound_by]
        table.add_row(*cells)
    return table


def shorten(text: str, width: int) -> str:
    """Text without its beginning: names of steps differ at their ends."""
    return text if len(text) <= width else ELLIPSIS + text[len(text) - width + 1 :]


def peaks_table(found: Sequence[Peaks]) -> Any:
    """Measured peaks, a column for each number of threads."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("peak", no_wrap=True)
    for peaks in found:
        threads = f"{peaks.num_threads} thread{'s' if peaks.num_threads > 1 else ''}"
        table.add_column(threads, justify="right", no_wrap=True)
        table.add_column("median", justify="right", no_wrap=True)
    names = dict.fromkeys(level.name for p in found for level in p.levels)
    rows: dict[str, list[Rate | None]] = {
        "int8, GMAC/s": [p.int8 for p in found],
        "float32, GMAC/s": [p.float32 for p in found],
    }
    rows |= {f"{name}, GB/s read": [_level_rate(p, name) for p in found] for name in names}
    for label, rates in rows.items():
        cells = [cell for rate in rates for cell in _rate_cells(rate)]
        table.add_row(label, *cells)
    calls = [cell for p in found for cell in (time_text(p.call_us), "")]
    table.add_row("an empty call", *calls)
    return table


def _level_rate(peaks: Peaks, name: str) -> Rate | None:
    return next((level.rate for level in peaks.levels if level.name == name), None)


def _rate_cells(rate: Rate | None) -> tuple[str, str]:
    if rate is None:
        return "", ""
    return f"{rate.best:.0f}", f"{-rate.spread:.0%}" if rate.spread >= 0.005 else "0%"
