"""What a search for formats found: the content of ``search.json``, checked."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from reprlib import repr as brief
from typing import Any

from octavo.compiler.report.search_objectives import Objective
from octavo.errors import DataError

SCHEMA = 1
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True)
class SearchedLayer:
    """A layer whose format was to be chosen.

    Attributes:
        name: Of its ONNX node.
        op_types: ONNX operators.
        num_weights: How many it has.
        macs: Multiply-accumulates of one run.
    """

    name: str
    op_types: tuple[str, ...]
    num_weights: int
    macs: int


@dataclass(frozen=True)
class Reference:
    """A configuration to compare with, such as "float32" or "w8a8", and what it costs."""

    name: str
    objectives: Mapping[str, float]


@dataclass(frozen=True)
class SearchedPoint:
    """A configuration that was evaluated.

    Attributes:
        id: Its number, unique.
        formats: Of each layer.
        objectives: Measured values by name; empty where it failed.
        error: Why it failed; "" where it did not.
        spread: Of values that were measured several times, as a part of the value.
        artifact: Where it lies, beside the record; "" where it was not kept.
        meets_limits: Every limit is kept.
    """

    id: int
    formats: Mapping[str, str]
    objectives: Mapping[str, float]
    error: str = ""
    spread: Mapping[str, float] = field(default_factory=dict)
    artifact: str = ""
    meets_limits: bool = True

    def counts(self) -> dict[str, int]:
        """Layers by format, the most frequent first."""
        return dict(Counter(self.formats.values()).most_common())


@dataclass(frozen=True)
class LayerScore:
    """What a format does to one layer, as estimated before the search.

    Attributes:
        loss: What the network loses by it, in the unit of the measure that ranked layers.
        latency_ms: Of the layer, milliseconds; None where it is not known.
        num_bytes: Of its weights; None where it is not known.
    """

    loss: float
    latency_ms: float | None
    num_bytes: float | None


@dataclass(frozen=True)
class SearchRecord:
    """A search.

    Attributes:
        model: Its name.
        target: What it was compiled for.
        device: That measured.
        seed: Of the solver.
        solver: Its name.
        budget: Evaluations that were allowed.
        objectives: Two or three; the first is what the network loses.
        limits: Largest value that is allowed, by name of the objective.
        references: To compare with.
        layers: In the order of the graph.
        points: In the order of evaluation.
        front: Measured again side by side, by the second objective.
        best: The chosen one; None where none meets the limits.
        why_not_better: Evidence, where nothing beats the same format everywhere.
        progress: (evaluations, hypervolume) from time to time.
        sensitivities: Estimates by layer and format.
    """

    model: str
    target: str
    device: str
    seed: int
    solver: str
    budget: int
    objectives: tuple[Objective, ...]
    limits: Mapping[str, float]
    references: tuple[Reference, ...]
    layers: tuple[SearchedLayer, ...]
    points: tuple[SearchedPoint, ...]
    front: tuple[SearchedPoint, ...]
    best: SearchedPoint | None
    why_not_better: tuple[str, ...]
    progress: tuple[tuple[int, float], ...]
    sensitivities: Mapping[str, Mapping[str, LayerScore]]

    @property
    def measured(self) -> tuple[SearchedPoint, ...]:
        """Points that did not fail."""
        return tuple(point for point in self.points if not point.error)

    @property
    def failed(self) -> tuple[SearchedPoint, ...]:
        """The others."""
        return tuple(point for point in self.points if point.error)

    @property
    def formats(self) -> list[str]:
        """Every format that any layer of the front takes, the most frequent first."""
        found = Counter(f for point in self.front for f in point.formats.values())
        return [name for name, _ in found.most_common()]

    def missed_limits(self, point: SearchedPoint) -> list[Objective]:
        """Objectives whose limit a point is above."""
        return [
            objective
            for objective in self.objectives
            if point.objectives[objective.name] > self.limits.get(objective.name, math.inf)
        ]


def search_record(document: Mapping[str, Any]) -> SearchRecord:
    """Check the content of ``search.json``.

    Raises:
        DataError: It is of another schema, lacks an entry, or one is of the wrong kind.
    """
    try:
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']!r}; this version reads {SCHEMA}")
        return _record(document)
    except _MALFORMED as error:
        raise DataError(f"search.json is malformed: {brief(error)}") from error


def _record(document: Mapping[str, Any]) -> SearchRecord:
    objectives = tuple(
        Objective(str(o["name"]), str(o["title"]), str(o["unit"]))
        for o in document["objectives"]
    )
    if not 2 <= len(objectives) <= 3:
        raise ValueError(f"{len(objectives)} objectives; 2 or 3 are allowed")
    names = [objective.name for objective in objectives]
    points = tuple(_point(entry, names) for entry in document["points"])
    by_id = {point.id: point for point in points}
    if len(by_id) != len(points):
        raise ValueError("points share an id")
    found = (_front_point(entry, names, by_id) for entry in document["front"])
    by_cost = [*names[1:], names[0]]
    front = sorted(found, key=lambda p: ([p.objectives[name] for name in by_cost], p.id))
    limits = {str(name): _number(v) for name, v in document["limits"].items()}
    if unknown := limits.keys() - set(names):
        raise ValueError(f"limits of {sorted(unknown)}; objectives are {names}")
    return SearchRecord(
        model=str(document["model"]),
        target=str(document["target"]),
        device=str(document["device"]),
        seed=int(document["seed"]),
        solver=str(document["solver"]),
        budget=int(document["budget"]),
        objectives=objectives,
        limits=limits,
        references=tuple(
            Reference(str(r["name"]), _values(r["objectives"], ()))
            for r in document["references"]
        ),
        layers=tuple(
            SearchedLayer(
                name=str(layer["name"]),
                op_types=tuple(map(str, layer["op_types"])),
                num_weights=int(layer["num_weights"]),
                macs=int(layer["macs"]),
            )
            for layer in document["layers"]
        ),
        points=points,
        front=tuple(front),
        best=_best(document["best"], names, front, by_id),
        why_not_better=tuple(map(str, document["why_not_better"])),
        progress=tuple(_progress(document["progress"])),
        sensitivities={
            str(layer): {str(name): _score(entry) for name, entry in formats.items()}
            for layer, formats in document["sensitivities"].items()
        },
    )


def _point(entry: Mapping[str, Any], names: list[str]) -> SearchedPoint:
    error = "" if entry["error"] is None else str(entry["error"]) or "failed"
    return SearchedPoint(
        id=int(entry["id"]),
        formats={str(layer): str(name) for layer, name in entry["formats"].items()},
        objectives={} if error else _values(entry["objectives"], names),
        error=error,
    )


def _front_point(
    entry: Mapping[str, Any], names: list[str], by_id: Mapping[int, SearchedPoint]
) -> SearchedPoint:
    identity = int(entry["id"])
    return SearchedPoint(
        id=identity,
        formats=by_id[identity].formats,
        objectives=_values(entry["objectives"], names),
        spread=_values(entry.get("spread") or {}, ()),
        artifact=str(entry.get("artifact") or ""),
        meets_limits=bool(entry["meets_limits"]),
    )


def _best(
    entry: Mapping[str, Any] | None,
    names: list[str],
    front: list[SearchedPoint],
    by_id: Mapping[int, SearchedPoint],
) -> SearchedPoint | None:
    """The chosen one, with what the front knows of it."""
    if entry is None:
        return None
    known = next(({"spread": p.spread} for p in front if p.id == entry["id"]), {})
    return _front_point({"meets_limits": True, **known, **entry}, names, by_id)


def _values(entry: Mapping[str, Any], names: Any) -> dict[str, float]:
    """Finite numbers by name; every one of ``names`` must be there."""
    found = {str(name): _number(value) for name, value in entry.items() if value is not None}
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"objectives {missing} have no value")
    return found


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no finite number")
    return number


def _progress(entries: Any) -> Iterator[tuple[int, float]]:
    for entry in entries:
        yield int(entry["evaluations"]), _number(entry["hypervolume"])


def _score(entry: Mapping[str, Any]) -> LayerScore:
    latency, size = entry.get("ms"), entry.get("bytes")
    return LayerScore(
        loss=_number(entry["loss"]),
        latency_ms=None if latency is None else _number(latency),
        num_bytes=None if size is None else _number(size),
    )
