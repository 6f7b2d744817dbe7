"""``octavo targets``: what can be compiled for."""

import difflib

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.options import output_options
from octavo.errors import TargetError


@click.command("targets")
@output_options
@click.pass_obj
def targets_command(console: Console) -> None:
    """List the targets that --target takes."""
    from rich.table import Table

    from octavo.targets import TARGETS

    records = [
        {
            "name": t.name,
            "description": t.description,
            "triple": t.triple,
            "isa": t.isa,
            "activation_dtype": t.activation_dtype,
            "requantize": t.requantize,
            "num_cores": t.num_cores,
        }
        for t in TARGETS.values()
    ]
    table = Table(box=None, pad_edge=False)
    for header in ("target", "instructions", "activations", "requantize", "description"):
        table.add_column(header)
    for r in records:
        table.add_row(
            str(r["name"]),
            str(r["isa"]),
            str(r["activation_dtype"]),
            str(r["requantize"]),
            str(r["description"]),
        )
    console.result({"targets": records}, table)


def check_target(name: str) -> None:
    """Refuse an unknown target, and name the nearest.

    Raises:
        TargetError: ``name`` is not a target.
    """
    from octavo.targets import TARGETS

    if name not in TARGETS:
        near = difflib.get_close_matches(name, TARGETS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise TargetError(f"unknown target {name!r}{hint} (known: {', '.join(TARGETS)})")
