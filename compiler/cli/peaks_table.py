"""The machine's peaks as the command prints them."""

from collections.abc import Sequence
from typing import Any

from octavo.compiler.report.units import time_text
from octavo.compiler.roofline.peaks import Peaks, Rate


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
