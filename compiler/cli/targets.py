"""``octavo targets``: what can be compiled for."""

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.options import output_options


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
