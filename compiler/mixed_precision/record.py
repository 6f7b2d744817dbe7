"""What a search found, as JSON values: search.json."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from octavo.compiler.mixed_precision.ablation import Ablation
from octavo.compiler.mixed_precision.accuracy import DROP
from octavo.compiler.mixed_precision.choices import Table
from octavo.compiler.mixed_precision.finalists import Finalist
from octavo.compiler.mixed_precision.measuring import Mixed
from octavo.compiler.mixed_precision.network import MixedNetwork
from octavo.compiler.mixed_precision.options import BUFFER, BYTES, LATENCY, SearchOptions
from octavo.compiler.mixed_precision.verdict import why_not_better
from octavo.compiler.report.search_objectives import objective_of
from octavo.compiler.search.front import Points, hypervolume
from octavo.compiler.search.problem import Problem
from octavo.passes.layer_format import LayerFormat

SCHEMA = 1


@dataclass(frozen=True)
class Found:
    """Everything that a search measured.

    Attributes:
        problem: What was chosen.
        evaluations: In the order of evaluation.
        finalists: The front, measured again.
        references: By name: the float network and 8 bits throughout.
        best: Of the finalists; None where nothing meets the limits.
        losses: Of single layers in single formats, noise over signal.
        unit: Of latency; "" where it was not measured.
        ablation: Of the components of a graph network; None of another one.
    """

    problem: Problem[LayerFormat]
    evaluations: Sequence[Mixed]
    finalists: Sequence[Finalist]
    references: Mapping[str, Mapping[str, float]]
    best: Finalist | None
    losses: Table
    unit: str
    ablation: Ablation | None = None


def search_record(
    found: Found, network: MixedNetwork, options: SearchOptions, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """The record of a search.

    Args:
        found: What it measured.
        network: Whose layers.
        options: What was asked for.
        facts: Further entries: model, target, solver's name.
    """
    problem = found.problem
    number_of = {_key(e): number for number, e in enumerate(found.evaluations)}
    on_front = {_key(f.evaluation) for f in found.finalists}
    return {
        "schema": SCHEMA,
        **facts,
        "device": "" if options.device is None else options.device.device,
        "seed": options.seed,
        "solver": options.solver,
        "budget": options.budget,
        "objectives": [asdict(objective_of(name, found.unit)) for name in problem.objectives],
        "limits": dict(problem.limits),
        "references": [
            {"name": name, "objectives": dict(values)}
            for name, values in found.references.items()
        ],
        "layers": list(_layers(network)),
        "points": [
            {
                "id": number,
                "formats": _texts(e),
                "objectives": _values(problem, e),
                "error": e.error,
                "on_front": _key(e) in on_front,
            }
            for number, e in enumerate(found.evaluations)
        ],
        "front": [
            {
                "id": number_of[_key(f.evaluation)],
                "objectives": _values(problem, f.evaluation),
                "spread": dict(f.spread),
                "artifact": f"front/{number_of[_key(f.evaluation)]}",
                "meets_limits": problem.excess(f.evaluation) == 0,
            }
            for f in found.finalists
        ],
        "best": None
        if found.best is None
        else {
            "id": number_of[_key(found.best.evaluation)],
            "artifact": "best",
            "objectives": _values(problem, found.best.evaluation),
        },
        "why_not_better": list(
            why_not_better(problem, found.evaluations, found.references, found.unit)),
        "progress": list(_progress(problem, found.evaluations)),
        "sensitivities": {
            layer: {
                str(chosen): _sensitivity(problem, layer, chosen, loss)
                for chosen, loss in row.items()
            }
            for layer, row in found.losses.items()
        },
        **({} if found.ablation is None else {"ablation": found.ablation.record()}),
    }


def _layers(network: MixedNetwork) -> Iterator[dict[str, Any]]:
    for name in network.layers:
        yield {
            "name": name,
            "op_types": [network.head(name).op_type],
            "num_weights": int(network.weight(name).size),
            "macs": network.macs(name),
        }


def _values(problem: Problem[LayerFormat], evaluation: Mixed) -> dict[str, float]:
    known = evaluation.objectives
    named = (*problem.objectives, "noise", DROP, BUFFER)
    return {name: known[name] for name in dict.fromkeys(named) if name in known}


def _sensitivity(
    problem: Problem[LayerFormat], layer: str, chosen: LayerFormat, loss: float
) -> dict[str, float | None]:
    tables = problem.tables
    latency = tables[LATENCY][layer][chosen] if LATENCY in tables else None
    return {"loss": loss, "ms": latency, "bytes": tables[BYTES][layer][chosen]}


def _texts(evaluation: Mixed) -> dict[str, str]:
    return {layer: str(chosen) for layer, chosen in evaluation.configuration.items()}


def _progress(
    problem: Problem[LayerFormat], evaluations: Sequence[Mixed]
) -> Iterator[dict[str, float]]:
    """Share of the final front's hypervolume after each evaluation."""
    import numpy as np

    measured = [e for e in evaluations if e.error is None]
    points: Points = np.array([e.values(problem.objectives) for e in measured], np.float64)
    if not len(points):
        return
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / np.where(high > low, high - low, 1.0)
    # From a little beyond the worst values, so that the ends of the front count.
    corner = [1.1] * scaled.shape[1]
    whole = hypervolume(scaled, corner)
    for count in range(1, len(scaled) + 1):
        yield {
            "evaluations": count, "hypervolume": hypervolume(scaled[:count], corner) / whole}


def _key(evaluation: Mixed) -> frozenset[tuple[str, LayerFormat]]:
    return frozenset(evaluation.configuration.items())
