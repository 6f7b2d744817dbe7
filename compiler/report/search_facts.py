"""What a page shows of a search: its words, charts and rows."""

import re
from dataclasses import dataclass

from octavo.compiler.report.convergence_chart import Curve, convergence_chart
from octavo.compiler.report.search_chart import ParetoChart, pareto_charts
from octavo.compiler.report.search_layers import (
    ChosenLayer,
    HeatCell,
    chosen_layers,
    format_kind,
    formats_legend,
    heat_rows,
    weight_bits,
)
from octavo.compiler.report.search_objectives import Objective
from octavo.compiler.report.search_record import (
    SearchedLayer,
    SearchedPoint,
    SearchRecord,
)
from octavo.compiler.report.search_text import (
    counts_text,
    difference_text,
    judging_text,
    limits_text,
    nearest_text,
    origin_text,
    refusals,
    value_text,
)

_PLAIN_PATH = re.compile(r"\w+(/\w+)*")  # records may come from anywhere
PAGE = "report.html"


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
class SearchFacts:
    """A search, ready to be shown.

    Attributes:
        record: What is shown.
        cards: (title, value, lines below it) of the chosen point.
        origin: Where latencies come from, in words.
        judging: What losses were measured on, in words.
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
    judging: str
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
    layers = tuple(chosen_layers(record))
    return SearchFacts(
        record=record,
        cards=tuple(_cards(record)),
        origin=origin_text(record),
        judging=judging_text(record),
        limits=limits_text(record),
        nearest=nearest_text(record),
        refusals=tuple(refusals(record)),
        charts=tuple(pareto_charts(record)),
        curve=convergence_chart(record),
        front=tuple(_row(record, point) for point in record.front),
        heat=tuple(heat_rows(record)),
        legend=tuple(formats_legend(record)),
        layers=layers,
        top_loss=max((row.score.loss for row in layers if row.score), default=0.0),
    )


def _cards(record: SearchRecord) -> list[tuple[str, str, tuple[str, ...]]]:
    if record.best is None:
        return []
    row = _row(record, record.best)
    found = [
        (
            o.title,
            cell.text,
            tuple(f"{text} vs {name}" for name, text in cell.differences if text),
        )
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
