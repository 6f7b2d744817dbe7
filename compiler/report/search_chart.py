"""Geometry of a search's chart: two objectives of everything that was evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from octavo.compiler.report.chart_labels import (
    Box,
    Label,
    Wanted,
    best_place,
    dot_box,
    place_labels,
    text_box,
)
from octavo.compiler.report.charts import WIDTH, Bar
from octavo.compiler.report.roofline_chart import Dot, Mark
from octavo.compiler.report.scale import Scale, fit_scale
from octavo.compiler.report.search_objectives import Objective
from octavo.compiler.report.search_record import Reference, SearchedPoint, SearchRecord
from octavo.compiler.report.search_text import formats_text, value_text, values_text

HEIGHT = 440.0  # SVG user units
EVALUATED, FRONT, CHOSEN, REFERENCE = 3.5, 5.5, 8.0, 5.5  # radii
CORNER = 1.4  # times the radius: a square on its corner
X_GAP, Y_GAP = 80.0, 30.0  # between marks
FAR = 1.0  # a limit is shown when it is nearer to the points than their own range
FAR_RATIO = 4.0  # and, below them, when they are no more than so many times as much
EDGE = 6.0  # between a line and its name
CHART = Box(0.0, 0.0, WIDTH, HEIGHT)


@dataclass(frozen=True)
class ParetoChart:
    """Two objectives of all points, WIDTH x HEIGHT user units.

    Attributes:
        across: The objective to the right.
        up: The objective upwards.
        x_marks: Of the scale below.
        y_marks: Of the scale at the left.
        refused: Areas above a limit.
        stairs: Border of what the front reaches.
        num_beside: Points of the front that are not on this border.
        dots: The chosen one last.
        references: Squares that stand on a corner.
        labels: Names of dots and of limits.
        is_stretched: The scale upwards is stretched near zero.
        outside: Limits that are too far away to be shown.
    """

    across: Objective
    up: Objective
    x_marks: tuple[Mark, ...]
    y_marks: tuple[Mark, ...]
    refused: tuple[Bar, ...]
    stairs: tuple[tuple[float, float], ...]
    num_beside: int
    dots: tuple[Dot, ...]
    references: tuple[Dot, ...]
    labels: tuple[Label, ...]
    is_stretched: bool
    outside: tuple[str, ...]

    @property
    def kinds(self) -> set[str]:
        """CSS classes that it has, for its legend."""
        dots = {dot.kind for dot in (*self.dots, *self.references)}
        return dots | {bar.kind for bar in self.refused}


def pareto_charts(record: SearchRecord) -> list[ParetoChart]:
    """What the network loses against each of the other objectives; none without points."""
    if not record.measured:
        return []
    first, *others = record.objectives
    return [_Plane(record, other, first).chart() for other in others]


@dataclass(frozen=True)
class _Plane:
    """Two objectives of a record."""

    record: SearchRecord
    across: Objective
    up: Objective

    @cached_property
    def scales(self) -> tuple[Scale, Scale]:
        return (
            _scale(self.record, self.across, WIDTH),
            _scale(self.record, self.up, HEIGHT),
        )

    def chart(self) -> ParetoChart:
        x_scale, y_scale = self.scales
        evaluated, front, chosen = self.dots()
        references = self.references()
        bars, names = self.limits((*evaluated, *front, *chosen, *references))
        places = [self.place(point) for point in self.record.front]
        stairs, num_on = _stairs(places)
        return ParetoChart(
            across=self.across,
            up=self.up,
            x_marks=tuple(Mark(at, label) for at, label in x_scale.marks(X_GAP)),
            y_marks=tuple(Mark(HEIGHT - at, label) for at, label in y_scale.marks(Y_GAP)),
            refused=tuple(bars),
            stairs=stairs,
            num_beside=len(places) - num_on,
            dots=(*evaluated, *front, *chosen),
            references=tuple(references),
            labels=(*names, *_names(front, chosen, references, names)),
            is_stretched=y_scale.kind == "stretched",
            outside=tuple(
                f"{o.title} {value_text(o, limit)}"
                for o, scale, limit in self.limited()
                if not scale.holds(limit)
            ),
        )

    def place(self, point: SearchedPoint | Reference) -> tuple[float, float]:
        x, y = (point.objectives[o.name] for o in (self.across, self.up))
        x_scale, y_scale = self.scales
        return x_scale.at(x), HEIGHT - y_scale.at(y)

    def dots(self) -> tuple[list[Dot], list[Dot], list[Dot]]:
        """Evaluated points, the front, and the chosen point, each in one of them."""
        record = self.record
        again = {point.id for point in record.front}  # drawn where they were measured last
        best = [] if record.best is None else [record.best]
        beside = {point.id for point in best}
        return (
            [
                self.dot(p, EVALUATED, "evaluated")
                for p in record.measured
                if p.id not in again | beside
            ],
            [
                self.dot(p, FRONT, "front" if p.meets_limits else "missed")
                for p in record.front
                if p.id not in beside
            ],
            [self.dot(p, CHOSEN, "chosen") for p in best],
        )

    def dot(self, point: SearchedPoint, radius: float, kind: str) -> Dot:
        values = values_text(self.record, point.objectives)
        title = f"#{point.id}: {values}; {formats_text(point)}"
        return Dot(*self.place(point), radius, kind, title)

    def references(self) -> list[Dot]:
        return [
            Dot(
                *self.place(reference), REFERENCE, "reference",
                f"{reference.name}: {values_text(self.record, reference.objectives)}",
            )
            for reference in self.record.references
            if {self.across.name, self.up.name} <= reference.objectives.keys()
        ]  # fmt: skip

    def limited(self) -> list[tuple[Objective, Scale, float]]:
        """The objectives that have a limit."""
        limits = self.record.limits
        pairs = zip((self.across, self.up), self.scales, strict=True)
        return [(o, scale, limits[o.name]) for o, scale in pairs if o.name in limits]

    def limits(self, dots: Sequence[Dot]) -> tuple[list[Bar], list[Label]]:
        """Areas above the limits, side by side so that none is shaded twice; their names."""
        bars: list[Bar] = []
        labels: list[Label] = []
        boxes = [dot_box(dot.x, dot.y, dot.radius) for dot in dots]
        right = WIDTH
        for objective, scale, limit in self.limited():
            if not scale.holds(limit):
                continue
            text = f"limit {value_text(objective, limit)}"
            if objective is self.across:
                right = scale.at(limit)
                bars.append(Bar(right, 0.0, WIDTH - right, HEIGHT, "refused", text))
                places = _beside_vertical(right, text)
            else:
                y = HEIGHT - scale.at(limit)
                bars.append(Bar(0.0, 0.0, right, y, "refused", text))
                places = _beside_horizontal(y, text)
            taken = [*boxes, *map(text_box, labels)]
            labels.append(best_place(places, taken, CHART)[0])
        return bars, labels


def _scale(record: SearchRecord, objective: Objective, length: float) -> Scale:
    name = objective.name
    values = [point.objectives[name] for point in (*record.measured, *record.front)]
    values += [r.objectives[name] for r in record.references if name in r.objectives]
    # What has no number in decibels stands at the edge.
    values = [v for v in values if not objective.is_exact(v)] or values[:1]
    limit = record.limits.get(name)
    if limit is not None:
        least = min(values)
        reach = FAR * (max(values) - least) or abs(limit)
        is_fraction = 0 < FAR_RATIO * limit < least
        if least - reach <= limit <= max(values) + reach and not is_fraction:
            values.append(limit)
    return fit_scale(values, length, objective.unit)


def _beside_vertical(x: float, text: str) -> list[Label]:
    heights = (HEIGHT - 8, 16.0, HEIGHT * 0.75, HEIGHT * 0.25, HEIGHT / 2)
    sides = ((x + EDGE, "start"), (x - EDGE, "end"))
    return [Label(at, y, anchor, text, "limit") for at, anchor in sides for y in heights]


def _beside_horizontal(y: float, text: str) -> list[Label]:
    ends = ((EDGE, "start"), (WIDTH - EDGE, "end"), (WIDTH * 0.3, "start"))
    heights = (y - EDGE, y + 2.6 * EDGE)
    return [Label(x, at, anchor, text, "limit") for at in heights for x, anchor in ends]


def _names(
    front: Sequence[Dot],
    chosen: Sequence[Dot],
    references: Sequence[Dot],
    taken: Sequence[Label],
) -> list[Label]:
    def wanted(dot: Dot, text: str, *, is_needed: bool) -> Wanted:
        radius = dot.radius * (CORNER if dot.kind == "reference" else 1.0)
        kind = "name" if is_needed else "number"
        return Wanted(dot.x, dot.y, radius, text, kind, is_needed)

    rows = [
        *(wanted(dot, f"chosen, {_name(dot)}", is_needed=True) for dot in chosen),
        *(wanted(dot, _name(dot), is_needed=True) for dot in references),
        *(wanted(dot, _name(dot), is_needed=False) for dot in front),
    ]
    return place_labels(rows, map(text_box, taken), CHART)


def _name(dot: Dot) -> str:
    return dot.title.partition(":")[0]


def _stairs(
    places: Sequence[tuple[float, float]],
) -> tuple[tuple[tuple[float, float], ...], int]:
    """The border of what the places reach, and how many of them are on it.

    Down is better and so is left, but y grows downwards.
    """
    steps: list[tuple[float, float]] = []
    lowest, num_on = float("-inf"), 0
    for x, y in sorted(places, key=lambda place: (place[0], -place[1])):
        if y > lowest:
            if steps:
                steps.append((x, lowest))
            steps.append((x, y))
            lowest, num_on = y, num_on + 1
    return tuple(steps), num_on
