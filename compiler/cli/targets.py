"""``octavo targets``: what can be compiled for."""

from collections.abc import Mapping
from typing import Any

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.options import output_options

MIB = 1024**2


@click.command("targets")
@output_options
@click.pass_obj
def targets_command(console: Console) -> None:
    """List the targets that --target takes: architecture levels and products."""
    from octavo.targets import PRODUCTS, TARGETS
    from octavo.targets.devices import DEVICES, DSPS, GPUS

    devices = DEVICES | GPUS | DSPS
    records: list[Any] = [{"kind": "level", "record": t} for t in TARGETS.values()]
    records += [
        {"kind": "product", "record": t, "device": devices[t.name]} for t in PRODUCTS.values()
    ]
    console.result(
        {"targets": [_entry(**r) for r in records]},
        _levels_table(TARGETS),
        "",
        _products_table(PRODUCTS, devices),
    )


def _entry(kind: str, record: Any, device: Any = None) -> dict[str, Any]:
    """The whole record, with the name first, and all that is known of a product."""
    fields = {name: getattr(record, name) for name in record.__dataclass_fields__}
    return {"name": record.name, "kind": kind, **fields, "device": device}


def _levels_table(levels: Mapping[str, Any]) -> Any:
    table = _table("level", "instructions", "activations", "requantize", "description")
    for t in levels.values():
        table.add_row(t.name, t.isa, t.activation_dtype, t.requantize, t.description)
    return table


def _products_table(products: Mapping[str, Any], devices: Mapping[str, Any]) -> Any:
    table = _table("product", "level", "memory", "system", "description")
    for t in products.values():
        device = devices[t.name]
        memory = "" if t.memory_bytes is None else f"{t.memory_bytes // MIB:,} MiB"
        table.add_row(t.name, t.level, memory, device.system, t.description)
    return table


def _table(*headers: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for header in headers:
        table.add_column(header)
    return table
