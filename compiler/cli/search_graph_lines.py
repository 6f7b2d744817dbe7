"""What a search of graph networks found, in words."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from octavo.compiler.report.search_objectives import objective_of
from octavo.compiler.report.search_text import value_text
from octavo.compiler.report.units import printable, size_text


def search_graph_lines(
    record: Mapping[str, Any], folder: Path, latency_unit: str
) -> Iterator[str]:
    """Every network that was found, against itself in 8 bits and in float.

    Args:
        record: The content of ``search-graph.json``.
        folder: Where it is.
        latency_unit: "ms", or what an emulator counts.
    """
    where = f"measured on {printable(record['device'])}" if record["device"] else "not timed"
    yield f"{printable(record['graph'])} for {printable(record['target'])}, {where}"
    yield (
        f"nodes           {record['nodes']}, {record['edges']} edges; accuracy of"
        f" {record['test_nodes']} test nodes"
    )
    yield "found           * on the front of accuracy, latency, weights and live buffers"
    for point in record["points"]:
        mark = "*" if point["on_front"] else " "
        yield f" {mark}#{point['id']} size weight {point['size_weight']:g}"
        for number, layer in enumerate(point["layers"], 1):
            yield f"      layer {number}: {_layer_text(layer)}"
        for name in ("found", "w8a8", "float32"):
            measured = point["measured"][name]
            label = "in these widths" if name == "found" else f"in {name}"
            yield f"      {label.ljust(15)}  {_values_text(measured, latency_unit)}"
    yield f"networks        {folder / 'points'}"


def _layer_text(layer: Mapping[str, Any]) -> str:
    added = " with a shortcut" if layer["shortcut"] else ""
    behind = "" if layer["activation"] == "none" else f", {layer['activation']}"
    widths = ", ".join(f"{name} {bits}" for name, bits in layer["bits"].items())
    return f"{layer['kind']}{added}{behind}; bits: {widths}"


def _values_text(measured: Mapping[str, Any], latency_unit: str) -> str:
    texts = [
        f"{measured['accuracy']:.1f}% right",
        f"weights {size_text(round(measured['weight_bytes']))}",
        f"live buffers {size_text(round(measured['buffer_bytes']))}",
    ]
    if measured["latency"] is not None:
        objective = objective_of("latency", latency_unit)
        texts.insert(1, f"latency {value_text(objective, measured['latency'])}")
    if measured["arena_bytes"] is not None:
        texts.append(f"arena {size_text(round(measured['arena_bytes']))}")
    return ", ".join(texts)
