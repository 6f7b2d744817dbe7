"""Rankings of layers by their sensitivity, side by side on the terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from octavo.compiler.report.units import printable

if TYPE_CHECKING:
    from octavo.compiler.sensitivity.compare import Sensitivities


def sensitivity_lines(found: "Sensitivities") -> Iterator[Any]:
    """A table of ranks with what was measured, and what the figures mean."""
    yield (
        f"rank of each layer in {found.layer_format}, 1: loses most;"
        f" {found.num_measuring} samples, drop measured on {found.num_judging}:"
    )
    yield _table(found)
    for measure, reason in found.left_out.items():
        yield f"left out        {measure}: {printable(reason)}"
    yield ""


def sensitivity_record(found: "Sensitivities") -> dict[str, Any]:
    """The same as data."""
    return {
        "format": str(found.layer_format),
        "num_measuring": found.num_measuring,
        "num_judging": found.num_judging,
        "left_out": found.left_out,
        "drops": found.drops,
        "rankings": [
            {
                "measure": ranking.measure,
                "order": ranking.order,
                "scores": ranking.scores,
                "tau_error": ranking.tau_error,
                "tau_accuracy": ranking.tau_accuracy,
            }
            for ranking in found.rankings
        ],
    }


def _table(found: "Sensitivities") -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("layer")
    for ranking in found.rankings:
        table.add_column(ranking.measure.replace("_", "\n"), justify="right")
    table.add_column("output\nerror", justify="right")
    table.add_column("points\nlost", justify="right")
    orders = [ranking.order for ranking in found.rankings]
    for drop in sorted(found.drops, key=lambda drop: -drop.output_error):
        table.add_row(
            printable(drop.layer),
            *(str(order.index(drop.layer) + 1) for order in orders),
            f"{drop.output_error:.1e}",
            "" if drop.accuracy_points is None else f"{drop.accuracy_points:.1f}",
        )
    for text, attribute in (("error", "tau_error"), ("accuracy", "tau_accuracy")):
        values = [getattr(ranking, attribute) for ranking in found.rankings]
        if any(value is not None for value in values):
            shown = ["" if value is None else f"{value:.2f}" for value in values]
            table.add_row(f"tau, {text}", *shown, "", "")
    return table
