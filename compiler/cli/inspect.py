"""``octavo inspect``: what a model is made of."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octavo.compiler.cli.console import Console, to_json_value
from octavo.compiler.cli.options import (
    READABLE_FILE,
    model_options,
    output_options,
    parse_maxima,
    parse_shapes,
)
from octavo.compiler.cli.width_lines import width_lines
from octavo.compiler.report.units import count_text, printable, shape_text, size_text

if TYPE_CHECKING:
    import onnx_ir as ir

    from octavo.compiler.importer import ModelSummary
    from octavo.compiler.preview import Preview

NUM_UNFRIENDLY = 10  # layers without -v


@click.command("inspect")
@click.argument("model", type=READABLE_FILE)
@click.option(
    "--placement",
    is_flag=True,
    help="Also show what would become INT8 and what would stay in float, with the reason.",
)
@click.option(
    "--target",
    metavar="NAME",
    help="Also show the layers whose channel widths make INT8 compute in vain on this target,"
    " and the nearest widths that do not.",
)
@click.option(
    "--message-passing",
    is_flag=True,
    help="Also show what is recognized of a graph network: aggregations, edges, readouts.",
)
@model_options
@output_options
@click.pass_obj
def inspect_command(
    console: Console,
    model: Path,
    placement: bool,
    target: str | None,
    message_passing: bool,
    shape_texts: tuple[str, ...],
    max_texts: tuple[str, ...],
    allow_external_data: bool,
) -> None:
    """Show the operators, shapes and multiply-accumulates of MODEL (an ONNX file).

    With -v every node is listed, else the operator types.
    """
    from octavo.compiler.importer import inspect_model

    if target is not None:
        from octavo.targets import get_target

        get_target(target)  # a wrong name is said at once, before TVM is loaded
    reading: dict[str, Any] = {
        "shapes": parse_shapes(shape_texts),
        "maxima": parse_maxima(max_texts),
        "allow_external_data": allow_external_data,
    }
    summary = inspect_model(model, **reading)
    tables = [_ports_table(summary), "", _operators_table(summary)]
    if console.verbosity > 0:
        tables += ["", _nodes_table(summary)]
    payload = to_json_value(summary)

    @cache
    def imported() -> "ir.Model":
        from octavo.compiler.importer import import_model

        return import_model(model, **reading)

    if placement:
        from octavo.compiler.preview import preview_placement

        preview = preview_placement(imported().clone())
        tables += ["", *_placement_lines(preview)]
        payload["placement"] = preview
    if target is not None:
        from octavo.compiler.explain.unfriendly import model_unfriendly_layers

        layers = model_unfriendly_layers(imported().clone(), get_target(target))
        limit = len(layers) if console.verbosity > 0 else NUM_UNFRIENDLY
        lines = list(width_lines(layers, summary.macs, limit))
        tables += ["", *(lines or [f"channel widths  friendly on {target}"])]
        payload["unfriendly_layers"] = layers
    if message_passing:
        from octavo.passes.message_passing.describe import region_lines
        from octavo.passes.message_passing.find import recognize

        regions = region_lines(recognize(imported().graph))
        found = [f"  {printable(line)}" for line in regions]
        tables += ["", *(["message passing", *found] if found else ["message passing  none"])]
        payload["message_passing"] = regions
    console.result(payload, *tables)


def _placement_lines(preview: "Preview") -> Iterator[str]:
    yield f"INT8 kernels    {len(preview.regions)}"
    for region in preview.regions:
        yield f"  {printable(region.name)}: {printable(' + '.join(region.op_types))}"
    yield f"in float        {len(preview.float_nodes)}"
    for name, reason in preview.float_nodes:
        yield f"  {printable(name)}: {printable(reason)}"


def _ports_table(summary: "ModelSummary") -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for header in ("", "name", "type", "shape"):
        table.add_column(header)
    for kind, ports in (("input", summary.inputs), ("output", summary.outputs)):
        for port in ports:
            table.add_row(kind, printable(port.name), port.dtype, shape_text(port.shape))
    return table


def _operators_table(summary: "ModelSummary") -> Any:
    from rich.table import Table

    totals: dict[str, list[int]] = {}
    for node in summary.nodes:
        total = totals.setdefault(node.op_type, [0, 0, 0])
        for i, value in enumerate((1, node.macs, node.parameter_bytes)):
            total[i] += value
    table = Table(box=None, pad_edge=False)
    table.add_column("operator")
    for header in ("nodes", "MACs", "parameters"):
        table.add_column(header, justify="right")
    for op_type, (num_nodes, macs, num_bytes) in sorted(
        totals.items(), key=lambda item: (-item[1][1], item[0])
    ):
        table.add_row(
            printable(op_type), str(num_nodes), count_text(macs), size_text(num_bytes)
        )
    # A constant that several nodes share is in each of their rows, and once in the total.
    table.add_row(
        "total",
        str(len(summary.nodes)),
        count_text(summary.macs),
        size_text(summary.parameter_bytes),
    )
    return table


def _nodes_table(summary: "ModelSummary") -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for header in ("node", "operator", "output"):
        table.add_column(header)
    for header in ("MACs", "parameters"):
        table.add_column(header, justify="right")
    for node in summary.nodes:
        table.add_row(
            printable(node.name),
            printable(node.op_type),
            " ".join(shape_text(output.shape) for output in node.outputs),
            count_text(node.macs),
            size_text(node.parameter_bytes),
        )
    return table
