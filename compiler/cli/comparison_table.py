"""A comparison of two profiles on the terminal."""

from collections.abc import Sequence
from typing import Any

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.fitting_table import Column, FittingTable, Named
from octavo.compiler.report.comparison import Comparison, LayerChange, Span, Verdict
from octavo.compiler.report.comparison_text import change_text, layers_text, run_text
from octavo.compiler.report.measured_steps import BY_ORDER
from octavo.compiler.report.units import added_text, time_text

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
    lines: list[Any] = [layers_table(shown, is_wide=is_wide)]
    if len(shown) < len(layers):
        lines.append(f"the {len(shown)} largest of {len(layers)} differences; -v shows all")
    return [*lines, layers_text(comparison), run_text(comparison)]


def layers_table(
    layers: Sequence[LayerChange], *, is_wide: bool = False
) -> FittingTable[LayerChange]:
    """A table of layers before and after.

    Args:
        layers: In the order of the lines.
        is_wide: Whole names, of layers and of kernels.
    """
    named = Named[LayerChange](
        header="layer",
        name=lambda layer: layer.name,
        detail_header="what changed",
        detail=lambda layer: change_text(layer, is_brief=not is_wide),
        detail_is_last=True,
    )
    return FittingTable(layers, named, (_COLUMNS,), is_wide=is_wide)


def _time_text(time: Span | None) -> str:
    return "" if time is None else time_text(time.latency_us)


def _ratio_text(layer: LayerChange) -> str:
    before, after = layer.before_time, layer.after_time
    if before is None or after is None or not after.latency_us:
        return ""
    return f"{before.latency_us / after.latency_us:.2f}"


_COLUMNS: tuple[Column[LayerChange], ...] = (
    Column("before", lambda layer: _time_text(layer.before_time)),
    Column("after", lambda layer: _time_text(layer.after_time)),
    Column("won", lambda layer: added_text(layer.won_us)),
    Column("times", _ratio_text),
    Column(
        "verdict", lambda layer: layer.verdict.value, "left",
        style=lambda layer: STYLES.get(layer.verdict, ""),
    ),
)  # fmt: skip
