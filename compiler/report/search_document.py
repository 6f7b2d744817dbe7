"""``search.json``: reads what a search wrote, and checks it."""

import math
from collections.abc import Iterator, Mapping
from reprlib import repr as brief
from typing import Any

from octavo.compiler.report.search_objectives import Objective
from octavo.compiler.report.search_record import (
    LayerScore,
    Reference,
    SearchedLayer,
    SearchedPoint,
    SearchRecord,
)
from octavo.errors import DataError

SCHEMA = 1
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, OverflowError)


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
    if not 2 <= len(objectives) <= 4:
        raise ValueError(f"{len(objectives)} objectives; 2 to 4 are allowed")
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
        num_judging=int(document["num_judging"]),
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
        notes=tuple(map(str, document.get("notes", ()))),
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
