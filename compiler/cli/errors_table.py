"""The per-layer error table that quantize and compile print."""

from collections.abc import Sequence
from typing import Any

from octavo.compiler.report.records import ErrorRecord
from octavo.compiler.report.units import decibel_text, printable


def errors_table(errors: Sequence[ErrorRecord], *, limit: int | None) -> Any:
    """Layers by isolated error, worst first.

    Args:
        errors: One per layer.
        limit: Rows to show; every layer, in the model's order, when None.

    Returns:
        A rich table.
    """
    from rich.table import Table

    rows = list(errors)
    if limit is not None:
        rows = sorted(rows, key=lambda e: (e.sqnr_isolated_db, e.layer))[:limit]
    table = Table(box=None, pad_edge=False)
    table.add_column("layer")
    table.add_column("operator")
    table.add_column("error alone", justify="right")
    table.add_column("with all before it", justify="right")
    for e in rows:
        table.add_row(
            printable(e.layer),
            printable(e.op_type),
            decibel_text(e.sqnr_isolated_db),
            decibel_text(e.sqnr_cumulative_db),
        )
    return table
