"""What a selection found, as JSON values for the manifest."""

import math
from collections.abc import Iterator
from typing import Any

from octavo.compiler.devices.measurement import TOLERANCE
from octavo.compiler.selection.candidates import Candidate
from octavo.compiler.selection.costs import conversion
from octavo.compiler.selection.layers import Layer
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.selection.select import Selection
from octavo.compiler.selection.trials import Trial


def selection_record(
    selection: Selection, options: SelectionOptions, unit: str
) -> dict[str, Any]:
    """Everything that explains the choice.

    Args:
        selection: What was found.
        options: What was asked for.
        unit: Of all costs: "us", or what an emulator counts.

    Returns:
        ``device``, ``num_threads``, and ``chosen``, the name of a program; ``programs``, what
        was measured side by side in the end, with the name, ``cost`` and its 95%
        interval; ``candidates``, programs with one candidate for all layers, as measured
        first, with why one failed; ``layers``, with what each takes, what that costs and what
        was rejected, cheapest first; ``conversions`` that the choice needs.
    """
    return {
        "device": options.device,
        "num_threads": options.num_threads,
        "unit": unit,
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
        "cost": _finite(trial.latency_us),
        "interval": None if interval is None else list(interval),
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
            "cost": costs.layer_us(layer.name, candidate),
        }

    options = sorted(map(option, distinct.values()), key=lambda o: float(o["cost"]))
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
                "cost": selection.costs.conversion_us(tensor, kind),
            }


def doubts(selection: Selection) -> tuple[str, ...]:
    """What the user should know of how sure the choice is, a line or none."""
    measured = [trial.measurement for trial in selection.finalists]
    loose = [m for m in measured if not m.failure and not m.is_tight()]
    if not loose:
        return ()
    return (
        f"selection: the medians of {len(loose)} of {len(measured)} programs are not known to"
        f" {TOLERANCE:.0%}: other work disturbed them, or --measure-seconds is too short",
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
