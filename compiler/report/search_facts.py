"""What a page shows of a search: its words, charts and rows."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from octavo.compiler.report.convergence_chart import Curve, convergence_chart
from octavo.compiler.report.search_chart import ParetoChart, pareto_charts
from octavo.compiler.report.search_objectives import Objective
from octavo.compiler.report.search_record import (
    LayerScore,
    SearchedLayer,
    SearchedPoint,
    SearchRecord,
)
from octavo.compiler.report.search_text import (
    counts_text,
    difference_text,
    limits_text,
    nearest_text,
    origin_text,
    refusals,
    value_text,
)
from octavo.compiler.report.units import added_text, size_text

_WEIGHTS = re.compile(r"w(\d+)a\d+")
_PLAIN_PATH = re.compile(r"\w+(/\w+)*")  # records may come from anywhere
PAGE = "report.html"
UNIFORM = "w8a8"  # what scores of layers are compared with


@dataclass(frozen=True)
class Cell:
    """A value, its spread, and how far it is from each reference."""

    text: str
    spread: str
    differences: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Share:
    """Layers in one format: how many, their part of all, and their CSS class."""

    format: str
    count: int
    share: float
    kind: str


@dataclass(frozen=True)
class FrontRow:
    """A point of the front.

    Attributes:
        point: What it is.
        cells: One for each objective.
        shares: By format, fewest bits first.
        is_chosen: It is the best one.
        missed: Titles of objectives whose limit it is above.
        page: Of its artifact, beside the search's own; "" where that is no plain path.
    """

    point: SearchedPoint
    cells: tuple[Cell, ...]
    shares: tuple[Share, ...]
    is_chosen: bool
    missed: tuple[str, ...]
    page: str


@dataclass(frozen=True)
class HeatCell:
    """A layer's format in one point: as short as it gets, and its CSS class."""

    text: str
    kind: str


@dataclass(frozen=True)
class ChosenLayer:
    """A layer of the chosen point.

    Attributes:
        layer: Which one.
        format: That it takes.
        kind: CSS class.
        score: Of that format; None where there is none.
        won: Against 8 bits: time and bytes, in words; "" for 8 bits themselves, and where one
            of the two is not known.
        others: Of the other formats, by name.
    """

    layer: SearchedLayer
    format: str
    kind: str
    score: LayerScore | None
    won: tuple[str, str]
    others: tuple[tuple[str, LayerScore], ...]


@dataclass(frozen=True)
class SearchFacts:
    """A search, ready to be shown.

    Attributes:
        record: What is shown.
        cards: (title, value, lines below it) of the chosen point.
        origin: Where latencies come from, in words.
        limits: In words; "" for none.
        nearest: The least measured values of what has a limit, in words.
        refusals: What cannot be taken, in words.
        charts: One for each pair of objectives.
        curve: How the front grew; None where that was not recorded.
        front: Its points.
        heat: For each layer, its format in each point of the front.
        legend: (CSS class, words) of the formats.
        layers: Of the chosen point.
        top_loss: The largest score of a layer in the format that it takes.
    """

    record: SearchRecord
    cards: tuple[tuple[str, str, tuple[str, ...]], ...]
    origin: str
    limits: str
    nearest: str
    refusals: tuple[str, ...]
    charts: tuple[ParetoChart, ...]
    curve: Curve | None
    front: tuple[FrontRow, ...]
    heat: tuple[tuple[SearchedLayer, tuple[HeatCell, ...]], ...]
    legend: tuple[tuple[str, str], ...]
    layers: tuple[ChosenLayer, ...]
    top_loss: float


def search_facts(record: SearchRecord) -> SearchFacts:
    """Gather what a page shows."""
    layers = tuple(_chosen_layers(record))
    return SearchFacts(
        record=record,
        cards=tuple(_cards(record)),
        origin=origin_text(record),
        limits=limits_text(record),
        nearest=nearest_text(record),
        refusals=tuple(refusals(record)),
        charts=tuple(pareto_charts(record)),
        curve=convergence_chart(record),
        front=tuple(_row(record, point) for point in record.front),
        heat=tuple(
            (layer, tuple(_heat_cell(point.formats.get(layer.name)) for point in record.front))
            for layer in record.layers
        ),
        legend=tuple(_legend(record)),
        layers=layers,
        top_loss=max((row.score.loss for row in layers if row.score), default=0.0),
    )


def _cards(record: SearchRecord) -> list[tuple[str, str, tuple[str, ...]]]:
    if record.best is None:
        return []
    row = _row(record, record.best)
    found = [
        (o.title, cell.text, tuple(f"{text} vs {name}" for name, text in cell.differences))
        for o, cell in zip(record.objectives, row.cells, strict=True)
    ]
    return [*found, ("layers", counts_text(record.best), ("by format",))]


def _row(record: SearchRecord, point: SearchedPoint) -> FrontRow:
    counts = sorted(point.counts().items(), key=lambda item: weight_bits(item[0]))
    total = max(sum(count for _, count in counts), 1)
    return FrontRow(
        point=point,
        cells=tuple(_cell(record, o, point) for o in record.objectives),
        shares=tuple(Share(f, n, n / total, format_kind(f)) for f, n in counts),
        is_chosen=record.best is not None and record.best.id == point.id,
        missed=tuple(o.title for o in record.missed_limits(point)),
        page=f"{point.artifact}/{PAGE}" if _PLAIN_PATH.fullmatch(point.artifact) else "",
    )


def _cell(record: SearchRecord, objective: Objective, point: SearchedPoint) -> Cell:
    name = objective.name
    value, spread = point.objectives[name], point.spread.get(name)
    return Cell(
        text=value_text(objective, value),
        spread=f"±{100 * spread:.1f}%" if spread else "",
        differences=tuple(
            (r.name, difference_text(objective, value, r.objectives[name]))
            for r in record.references
            if name in r.objectives
        ),
    )


def weight_bits(name: str) -> int:
    """Bits of the weights of a format; 32 for float, and for what is not known."""
    found = _WEIGHTS.match(name)
    return int(found[1]) if found else 32


def format_kind(name: str) -> str:
    """CSS class of a format, by the bits of its weights."""
    return f"bits{weight_bits(name)}"


def _heat_cell(name: str | None) -> HeatCell:
    if name is None:
        return HeatCell("", "none")
    return HeatCell(
        name.removeprefix("w").replace("a", "/", 1) if _WEIGHTS.match(name) else name,
        format_kind(name),
    )


def _legend(record: SearchRecord) -> list[tuple[str, str]]:
    found = sorted({weight_bits(name) for name in record.formats})
    return [(f"bits{n}", "float" if n == 32 else f"{n}-bit weights") for n in found]


def _chosen_layers(record: SearchRecord) -> list[ChosenLayer]:
    best = record.best
    if best is None:
        return []
    return [
        _chosen_layer(
            layer, best.formats[layer.name], record.sensitivities.get(layer.name, {})
        )
        for layer in record.layers
        if layer.name in best.formats
    ]


def _chosen_layer(
    layer: SearchedLayer, name: str, scores: Mapping[str, LayerScore]
) -> ChosenLayer:
    score, uniform = scores.get(name), scores.get(UNIFORM)
    won = ("", "")
    if name != UNIFORM and score is not None and uniform is not None:
        won = (
            _won(uniform.latency_ms, score.latency_ms, _time_text),
            _won(uniform.num_bytes, score.num_bytes, _bytes_text),
        )
    return ChosenLayer(
        layer=layer,
        format=name,
        kind=format_kind(name),
        score=score,
        won=won,
        others=tuple((other, s) for other, s in scores.items() if other != name),
    )


def _won(one: float | None, other: float | None, text: Callable[[float], str]) -> str:
    return "" if one is None or other is None else text(one - other)


def _time_text(milliseconds: float) -> str:
    microseconds = round(1000 * milliseconds, 2)  # as many digits as are shown
    return added_text(microseconds) if microseconds else "0"


def _bytes_text(num_bytes: float) -> str:
    sign = "-" if round(num_bytes) < 0 else ""
    return f"{sign}{size_text(abs(round(num_bytes)))}"
