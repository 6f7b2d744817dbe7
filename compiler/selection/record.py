"""What a selection found, as JSON values for the manifest, and in a line."""

import math
from collections.abc import Iterator
from typing import Any

from octavo.compiler.report.units import time_text
from octavo.compiler.selection.candidates import Candidate
from octavo.compiler.selection.costs import conversion
from octavo.compiler.selection.layers import Layer
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.selection.select import SELECTED, Selection, Trial


def selection_record(selection: Selection, options: SelectionOptions) -> dict[str, Any]:
    """Everything that explains the choice.

    Returns:
        ``device``, ``num_threads``, and ``chosen``, the name of a program; ``programs``, what
        was measured side by side in the end, with the name, ``latency_us`` and its 95%
        interval; ``candidates``, programs with one candidate for all layers, as measured
        first, with why one failed; ``layers``, with what each takes, what that costs and what
        was rejected, cheapest first; ``conversions`` that the choice needs.
    """
    return {
        "device": options.device,
        "num_threads": options.num_threads,
        "chosen": selection.chosen.name,
        "programs": [_program(trial) for trial in selection.finalists],
        "candidates": [_program(trial) for trial in selection.uniform],
        "layers": [_layer(selection, layer) for layer in selection.costs.graph.layers],
        "conversions": list(_conversions(selection)),
    }


def _program(trial: Trial) -> dict[str, Any]:
    interval = trial.measurement.interval_us
    return {
        "name": trial.name,
        "latency_us": _finite(trial.latency_us),
        "interval_us": None if interval is None else list(interval),
        "failure": trial.measurement.failure,
    }


def _layer(selection: Selection, layer: Layer) -> dict[str, Any]:
    costs, assignment = selection.costs, selection.chosen.assignment
    chosen = None if assignment is None else assignment[layer.name]
    # Candidates that are the same code for this layer are listed once.
    distinct = {costs.signature(layer.name, c): c for c in reversed(selection.candidates)}
    if chosen is not None:
        distinct[costs.signature(layer.name, chosen)] = chosen

    def option(candidate: Candidate) -> dict[str, Any]:
        return {
            "candidate": candidate.name,
            "placement": candidate.placement,
            "variant": costs.variant(layer.name, candidate),
            "latency_us": costs.layer_us(layer.name, candidate),
        }

    options = sorted(map(option, distinct.values()), key=lambda o: float(o["latency_us"]))
    name = None if chosen is None else chosen.name
    return {
        "name": layer.name,
        "op_types": list(layer.op_types),
        "nodes": list(layer.nodes),
        "chosen": next((o for o in options if o["candidate"] == name), None),
        "rejected": [o for o in options if o["candidate"] != name],
    }


def _conversions(selection: Selection) -> Iterator[dict[str, Any]]:
    assignment = selection.chosen.assignment
    if assignment is None:
        return
    for tensor in selection.costs.graph.tensors:
        kind = conversion(tensor, assignment)
        if kind:
            yield {
                "tensor": tensor.name,
                "kind": kind,
                "latency_us": selection.costs.conversion_us(tensor, kind),
            }


def selection_note(record: dict[str, Any]) -> str:
    """What was won, in a line."""
    times = {p["name"]: p["latency_us"] for p in record["programs"]}
    chosen, chosen_us = record["chosen"], times[record["chosen"]]
    others = [
        f"{name} {latency_us / chosen_us:.2f}x"
        for name, latency_us in times.items()
        if name != chosen and latency_us is not None and not name.startswith(SELECTED)
    ]
    what = "the choice for each layer" if chosen.startswith(SELECTED) else f"{chosen!r}"
    text = f"measured on {record['device']}: {what} takes {time_text(chosen_us)}"
    return f"{text}; {', '.join(others)} of that" if others else text


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
