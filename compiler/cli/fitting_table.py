"""A table in the widest layout that the terminal has room for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from octavo.compiler.report.units import printable, shorten

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

NAME_COLUMNS = 40
MIN_NAME_COLUMNS = 12  # on a narrow terminal names break over lines, numbers do not

RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Column(Generic[RowT]):
    """A column that never breaks.

    Attributes:
        header: Its first line.
        cell: The text of a row.
        justify: Where in the column it stands.
        style: The style of a row's text, as rich names it.
    """

    header: str
    cell: Callable[[RowT], str]
    justify: Literal["left", "right"] = "right"
    style: Callable[[RowT], str] = lambda _: ""


@dataclass(frozen=True)
class Named(Generic[RowT]):
    """What rows are called, and what may stand below that or in the last column.

    Attributes:
        header: Of the names.
        name: Of a row; any text.
        detail_header: Of the details.
        detail: Of a row; any text, which may break.
        detail_is_last: The details' own column comes last, not after the names.
        number: Of a row, in the first column; None for no such column.
    """

    header: str
    name: Callable[[RowT], str]
    detail_header: str
    detail: Callable[[RowT], str]
    detail_is_last: bool = False
    number: Callable[[RowT], int] | None = None


@dataclass(frozen=True)
class FittingTable(Generic[RowT]):
    """Rows, and the layouts that they may have.

    Attributes:
        rows: In the order of the lines.
        named: What they are called.
        layouts: Columns behind the names, from many to few. Only the first one is tried with
            the details in a column of their own; the others have them below the names.
        is_wide: Names are not shortened.
    """

    rows: Sequence[RowT]
    named: Named[RowT]
    layouts: Sequence[Sequence[Column[RowT]]]
    is_wide: bool = False

    def __rich_console__(
        self, console: "Console", options: "ConsoleOptions"
    ) -> "RenderResult":
        """Take the first layout that fits, else the narrowest; rich calls it."""
        from rich.measure import Measurement

        for table in self._tables():
            if Measurement.get(console, options, table).maximum < options.max_width:
                break
        yield table

    def _tables(self) -> "Iterable[Table]":
        yield self._table(self.layouts[0], below=False)
        for columns in self.layouts:
            yield self._table(columns, below=True)

    def _table(self, columns: Sequence[Column[RowT]], *, below: bool) -> "Table":
        from rich.table import Table

        named = self.named
        table = Table(box=None, pad_edge=False)
        if named.number is not None:
            table.add_column("#", justify="right", no_wrap=True)
        table.add_column(named.header, overflow="fold", min_width=MIN_NAME_COLUMNS)
        if not below and not named.detail_is_last:
            table.add_column(named.detail_header, overflow="fold")
        for column in columns:
            table.add_column(column.header, justify=column.justify, no_wrap=True)
        if not below and named.detail_is_last:
            table.add_column(named.detail_header, overflow="fold")
        for row in self.rows:
            table.add_row(*self._cells(row, columns, below=below))
        return table

    def _cells(
        self, row: RowT, columns: Sequence[Column[RowT]], *, below: bool
    ) -> "Iterable[str | Text]":
        from rich.text import Text

        named = self.named
        name, detail = printable(named.name(row)), printable(named.detail(row))
        text = Text(name if self.is_wide else shorten(name, NAME_COLUMNS))
        if below and detail:
            text.append(f"\n{detail}", style="dim")
        if named.number is not None:
            yield str(named.number(row))
        yield text
        if not below and not named.detail_is_last:
            yield Text(detail)
        for column in columns:
            yield Text(column.cell(row), style=column.style(row))
        if not below and named.detail_is_last:
            yield Text(detail)
