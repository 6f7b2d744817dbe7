"""``octavo targets``: what can be compiled for."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.options import output_options
from octavo.compiler.report.units import size_text

MIB = 1024**2


@click.command("targets")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@output_options
@click.pass_obj
def targets_command(console: Console, names: tuple[str, ...]) -> None:
    """List the targets that --target takes: architecture levels and products.

    With a NAME, show what is known of that target, and where it is from.
    """
    from octavo.targets import PRODUCTS, SYSTEMS, TARGETS, get_target
    from octavo.targets.devices import DEVICES, DSPS, GPUS

    devices = DEVICES | GPUS | DSPS
    if names:
        chosen = [get_target(name) for name in names]
        console.result(
            {"targets": [_entry(_kind(t, PRODUCTS), t, devices.get(t.name)) for t in chosen]},
            *(_facts_table(t, devices.get(t.name)) for t in chosen),
        )
        return
    levels = TARGETS | SYSTEMS
    records: list[Any] = [{"kind": "level", "record": t} for t in levels.values()]
    records += [
        {"kind": "product", "record": t, "device": devices[t.name]} for t in PRODUCTS.values()
    ]
    console.result(
        {"targets": [_entry(**r) for r in records]},
        _levels_table(levels),
        "",
        _products_table(PRODUCTS, devices),
    )


def _kind(target: Any, products: Mapping[str, Any]) -> str:
    return "product" if target.name in products else "level"


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


def _facts_table(target: Any, device: Any) -> Any:
    table = _table(target.name, target.description)
    for fact, value in _facts(target, device):
        table.add_row(fact, value)
    table.add_row("", "")
    return table


def _facts(target: Any, device: Any) -> Iterator[tuple[str, str]]:
    """What is known of a target, a line each."""
    if target.level:
        yield "level", target.level
    yield "instructions", f"{target.isa} ({' '.join((target.cpu, *target.features))})"
    yield "activations", target.activation_dtype
    yield "requantize", f"{target.requantize}; possible: {', '.join(target.requantize_modes)}"
    if len(target.float_precisions) > 1:
        yield "float layers", ", ".join(target.float_precisions)
    clusters = device.chip.clusters if device is not None else ()
    for cluster in clusters:
        yield "cores", _cluster_text(cluster)
    yield "code for", f"{size_text(target.l1_bytes)} L1, {size_text(target.l2_bytes)} L2"
    if target.memory_bytes is not None:
        yield "memory", f"{size_text(target.memory_bytes)} at most"
    if device is not None:
        level = "" if device.api_level is None else f", API level {device.api_level} when new"
        yield "system", f"{device.system}{level}"
        if device.chip.gpu is not None:
            yield "gpu", f"{device.chip.gpu.name}: {device.chip.gpu.level or 'no kernels'}"
        if device.chip.dsp is not None:
            dsp = device.chip.dsp
            yield "dsp", f"{dsp.name} {dsp.version}: {dsp.level}"
    if target.is_emulated:
        yield "runs here", f"{target.emulator.program} -cpu {target.emulator.cpu}"
    for source in target.sources:
        yield "source", source


def _cluster_text(cluster: Any) -> str:
    facts = [f"{cluster.count} {cluster.core.name}"]
    if cluster.max_mhz is not None:
        facts.append(f"{cluster.max_mhz:,} MHz")
    caches = {"L1": cluster.l1_bytes or cluster.core.l1_bytes, "L2": cluster.l2_bytes}
    facts += [f"{size_text(size)} {name}" for name, size in caches.items() if size is not None]
    return ", ".join(facts)


def _table(*headers: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for header in headers:
        table.add_column(header)
    return table
