"""A comparison of two profiles on the terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.steps_table import MIN_NAME_COLUMNS, NAME_COLUMNS
from octavo.compiler.report.comparison import Comparison, LayerChange, Span, Verdict
from octavo.compiler.report.comparison_text import (
    change_text,
    layers_text,
    run_text,
)
from octavo.compiler.report.measured_steps import BY_ORDER
from octavo.compiler.report.units import added_text, printable, shorten, time_text

if TYPE_CHECKING:
    from rich.console import Console as Terminal
    from rich.console import ConsoleOptions, RenderResult
    from rich.table import Table

NUM_LAYERS = 15  # rows, unless all are asked for
STYLES = {Verdict.FASTER: "green", Verdict.SLOWER: "red", Verdict.NOISE: "dim"}


def comparison_lines(
    console: Console, comparison: Comparison, *, sort: str | None
) -> list[Any]:
    """Table and closing lines of a comparison.

    Args:
        console: How much is asked for.
        comparison: What to show.
        sort: ``BY_ORDER`` for all layers as they run; else those that differ most.
    """
    in_order, is_wide = sort == BY_ORDER, console.verbosity > 0
    layers = comparison.layers if in_order else comparison.by_won
    shown = layers if in_order or is_wide else layers[:NUM_LAYERS]
    lines: list[Any] = [LayersTable(shown, is_wide=is_wide)]
    if len(shown) < len(layers):
        lines.append(f"the {len(shown)} largest of {len(layers)} differences; -v shows all")
    return [*lines, layers_text(comparison), run_text(comparison)]


@dataclass(frozen=True)
class LayersTable:
    """A table of layers before and after.

    Attributes:
        layers: In the order of the lines.
        is_wide: Whole names.
    """

    layers: Sequence[LayerChange]
    is_wide: bool = False

    def __rich_console__(
        self, console: "Terminal", options: "ConsoleOptions"
    ) -> "RenderResult":
        """What changed goes beside the times where there is room; rich calls it."""
        from rich.measure import Measurement

        for table in self._layouts():
            if Measurement.get(console, options, table).maximum < options.max_width:
                break
        yield table

    def _layouts(self) -> "Iterator[Table]":
        yield self._table(changes_below=False)
        yield self._table(changes_below=True)

    def _table(self, *, changes_below: bool) -> "Table":
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        table.add_column("layer", overflow="fold", min_width=MIN_NAME_COLUMNS)
        for header in ("before", "after", "won", "times"):
            table.add_column(header, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        if not changes_below:
            table.add_column("what changed", overflow="fold")
        for layer in self.layers:
            name = printable(layer.name)
            text = Text(name if self.is_wide else shorten(name, NAME_COLUMNS))
            change = printable(change_text(layer, is_brief=not self.is_wide))
            if changes_below:
                text.append(f"\n{change}", style="dim")
            table.add_row(
                text,
                _time_text(layer.before_time),
                _time_text(layer.after_time),
                added_text(layer.won_us),
                _ratio_text(layer),
                Text(layer.verdict, style=STYLES.get(layer.verdict, "")),
                *(() if changes_below else (Text(change),)),
            )
        return table


def _time_text(time: Span | None) -> str:
    return "" if time is None else time_text(time.latency_us)


def _ratio_text(layer: LayerChange) -> str:
    before, after = layer.before_time, layer.after_time
    if before is None or after is None or not after.latency_us:
        return ""
    return f"{before.latency_us / after.latency_us:.2f}"
