"""Measured steps as the command prints them, whatever the width of the terminal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from octavo.compiler.report.measured_steps import MeasuredStep
from octavo.compiler.report.units import count_text, printable, shorten, size_text, time_text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

NAME_COLUMNS = 40
MIN_NAME_COLUMNS = 12  # on a narrow terminal names break over lines, numbers do not


@dataclass(frozen=True)
class _Column:
    """A column behind the names: its header and its cells."""

    header: str
    cell: Callable[[MeasuredStep], str]
    justify: Literal["left", "right"] = "right"


_TIMES = (
    _Column("p50", lambda row: time_text(row.latency.median_us)),
    _Column("p95", lambda row: time_text(row.latency.p95_us)),
    _Column("share", lambda row: f"{row.latency.share:.1%}"),
    _Column("cum.", lambda row: f"{row.cumulative:.0%}"),
    # Without products there is no rate of them, nor a peak to compare it with.
    _Column("GMAC/s", lambda row: _rate_text(row.gmacs_per_s) if row.step.macs else ""),
    _Column("GB/s", lambda row: _rate_text(row.gbytes_per_s)),
)
_ROOF = _Column("roof", lambda row: f"{row.roof.roof_share:.0%}" if row.roof else "")
_BOUND = _Column("bound by", lambda row: row.roof.bound_by if row.roof else "", "left")
_WORK = (
    _Column("arithmetic", lambda row: row.step.placement, "left"),
    _Column("MACs", lambda row: count_text(row.step.macs)),
    _Column("bytes", lambda row: size_text(row.step.traffic.num_bytes)),
)


def _rate_text(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 99.95 else f"{rate:.1f}"


@dataclass(frozen=True)
class StepsTable:
    """A table of steps.

    Attributes:
        rows: The steps, in the order of the lines.
        is_wide: Whole names, and columns for the arithmetic and the work where there is room.
    """

    rows: Sequence[MeasuredStep]
    is_wide: bool = False

    def __rich_console__(
        self, console: "Console", options: "ConsoleOptions"
    ) -> "RenderResult":
        """Take the first layout that fits the terminal, else the narrowest; rich calls it."""
        from rich.measure import Measurement

        for table in self._layouts():
            if Measurement.get(console, options, table).maximum < options.max_width:
                break
        yield table

    def _layouts(self) -> "Iterator[Table]":
        """From wide to narrow: kernels beside the names, below them; fewer columns."""
        numbers: tuple[_Column, ...] = _TIMES
        bound: tuple[_Column, ...] = ()
        if any(row.roof for row in self.rows):
            numbers, bound = (*_TIMES, _ROOF), (_BOUND,)
        work = _WORK if self.is_wide else ()
        yield self._table((*work, *numbers, *bound), kernels_below=False)
        yield self._table((*work, *numbers, *bound), kernels_below=True)
        yield self._table((*numbers, *bound), kernels_below=True)
        yield self._table(numbers, kernels_below=True)

    def _table(self, columns: Sequence[_Column], *, kernels_below: bool) -> "Table":
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        table.add_column("#", justify="right", no_wrap=True)
        table.add_column("step", overflow="fold", min_width=MIN_NAME_COLUMNS)
        if not kernels_below:
            table.add_column("kernel", overflow="fold")
        for column in columns:
            table.add_column(column.header, justify=column.justify, no_wrap=True)
        for row in self.rows:
            name, kernel = printable(row.step.name), printable(row.step.variant)
            name = name if self.is_wide else shorten(name, NAME_COLUMNS)
            below = Text(f"\n{kernel}" if kernel else "", style="dim")
            names = [Text(name).append(below)] if kernels_below else [Text(name), Text(kernel)]
            cells = (column.cell(row) for column in columns)
            table.add_row(str(row.step.index), *names, *cells)
        return table
