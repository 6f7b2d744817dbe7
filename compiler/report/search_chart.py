"""Geometry of a search's charts: what was evaluated, the front, the way there."""

from collections.abc import Sequence
from dataclasses import dataclass

from octavo.compiler.report.chart_labels import Box, Label, Wanted, place_labels, text_box
from octavo.compiler.report.charts import HEIGHT, WIDTH, Bar, nice_steps
from octavo.compiler.report.roofline_chart import Dot, Mark
from octavo.compiler.report.scale import Scale, fit_scale
from octavo.compiler.report.search_record import Objective, SearchedPoint, SearchRecord
from octavo.compiler.report.search_text import formats_text, value_text, values_text

PARETO_HEIGHT = 440.0
EVALUATED, FRONT, CHOSEN, REFERENCE = 3.5, 5.5, 8.0, 5.5  # radii
X_GAP, Y_GAP = 80.0, 30.0  # between marks
FAR = 1.0  # a limit is shown when it is nearer to the points than their own range
NUM_CURVE_DOTS = 60
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ParetoChart:
    """Two objectives of all points, WIDTH x PARETO_HEIGHT user units.

    Attributes:
        across: The objective to the right.
        up: The objective upwards.
        x_marks: Of the scale below.
        y_marks: Of the scale at the left.
        refused: Areas above a limit.
        stairs: The front as a line: what has been reached.
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
    stairs: Points
    dots: tuple[Dot, ...]
    references: tuple[Dot, ...]
    labels: tuple[Label, ...]
    is_stretched: bool
    outside: tuple[str, ...]

    @property
    def kinds(self) -> set[str]:
        """CSS classes that it has, for its legend."""
        dots = {dot.kind for dot in (*self.dots, *self.references)}
        return (
            dots
            | {bar.kind for bar in self.refused}
            | ({"stairs"} if len(self.stairs) > 1 else set())
        )


@dataclass(frozen=True)
class Curve:
    """A line over a count, WIDTH x HEIGHT user units."""

    x_marks: tuple[Mark, ...]
    y_marks: tuple[Mark, ...]
    points: Points
    dots: tuple[Dot, ...]


def pareto_charts(record: SearchRecord) -> list[ParetoChart]:
    """What the network loses against each of the other objectives; none without points."""
    if not record.measured and not record.front:
        return []
    return [pareto_chart(record, across) for across in record.objectives[1:]]


def pareto_chart(record: SearchRecord, across: Objective) -> ParetoChart:
    """What the network loses, upwards, against another objective, to the right."""
    up = record.objectives[0]
    x_scale, y_scale = _scale(record, across, WIDTH), _scale(record, up, PARETO_HEIGHT)

    def place(point: SearchedPoint) -> tuple[float, float]:
        x, y = (point.objectives[o.name] for o in (across, up))
        return x_scale.at(x), PARETO_HEIGHT - y_scale.at(y)

    best = record.best
    again = {point.id for point in record.front}  # drawn where they were measured last
    evaluated = [
        _dot(record, p, place(p), EVALUATED, "evaluated")
        for p in record.measured
        if p.id not in again
    ]
    front = [
        _dot(record, p, place(p), FRONT, "front" if p.meets_limits else "missed")
        for p in record.front
        if best is None or p.id != best.id
    ]
    chosen = [_dot(record, best, place(best), CHOSEN, "chosen")] if best else []
    references = tuple(
        Dot(
            x_scale.at(r.objectives[across.name]),
            PARETO_HEIGHT - y_scale.at(r.objectives[up.name]),
            REFERENCE,
            "reference",
            f"{r.name}: {values_text(record, r.objectives)}",
        )
        for r in record.references
        if {across.name, up.name} <= r.objectives.keys()
    )
    refused, limit_labels = _limits(record, x_scale, y_scale, across, up)
    names = [
        r.name for r in record.references if {across.name, up.name} <= r.objectives.keys()
    ]
    wanted = [
        *(Wanted(d.x, d.y, d.radius, f"chosen, {_number(d)}", "name", True) for d in chosen),
        *(
            Wanted(d.x, d.y, d.radius * 1.4, name, "name", True)
            for d, name in zip(references, names, strict=True)
        ),
        *(Wanted(d.x, d.y, d.radius, _number(d), "number", False) for d in front),
    ]
    labels = place_labels(
        wanted, map(text_box, limit_labels), Box(0.0, 0.0, WIDTH, PARETO_HEIGHT)
    )
    return ParetoChart(
        across=across,
        up=up,
        x_marks=tuple(Mark(at, label) for at, label in x_scale.marks(X_GAP)),
        y_marks=tuple(Mark(PARETO_HEIGHT - at, label) for at, label in y_scale.marks(Y_GAP)),
        refused=tuple(refused),
        stairs=_stairs([place(p) for p in record.front]),
        dots=(*evaluated, *front, *chosen),
        references=references,
        labels=(*limit_labels, *labels),
        is_stretched=y_scale.kind == "stretched",
        outside=tuple(
            f"{o.title} {value_text(o, record.limits[o.name])}"
            for o, scale in ((across, x_scale), (up, y_scale))
            if o.name in record.limits and not scale.holds(record.limits[o.name])
        ),
    )


def _scale(record: SearchRecord, objective: Objective, length: float) -> Scale:
    name = objective.name
    values = [point.objectives[name] for point in (*record.measured, *record.front)]
    values += [r.objectives[name] for r in record.references if name in r.objectives]
    limit = record.limits.get(name)
    if limit is not None:
        reach = FAR * (max(values) - min(values)) or abs(limit)
        if min(values) - reach <= limit <= max(values) + reach:
            values.append(limit)
    return fit_scale(values, length, objective.unit)


def _dot(
    record: SearchRecord,
    point: SearchedPoint,
    at: tuple[float, float],
    radius: float,
    kind: str,
) -> Dot:
    values, formats = values_text(record, point.objectives), formats_text(point)
    return Dot(*at, radius, kind, f"#{point.id}: {values}; {formats}")


def _number(dot: Dot) -> str:
    return dot.title.partition(":")[0]


def _limits(
    record: SearchRecord, x_scale: Scale, y_scale: Scale, across: Objective, up: Objective
) -> tuple[list[Bar], list[Label]]:
    """Areas above the limits, side by side so that none is shaded twice, and their names."""
    bars, labels = [], []
    right = WIDTH
    limit = record.limits.get(across.name)
    if limit is not None and x_scale.holds(limit):
        text = f"limit {value_text(across, limit)}"
        right = x_scale.at(limit)
        bars.append(Bar(right, 0.0, WIDTH - right, PARETO_HEIGHT, "refused", text))
        has_room = WIDTH - right > 120
        x, anchor = (right + 6, "start") if has_room else (right - 6, "end")
        labels.append(Label(x, PARETO_HEIGHT - 8, anchor, text, "limit"))
    limit = record.limits.get(up.name)
    if limit is not None and y_scale.holds(limit):
        text = f"limit {value_text(up, limit)}"
        y = PARETO_HEIGHT - y_scale.at(limit)
        bars.append(Bar(0.0, 0.0, right, y, "refused", text))
        labels.append(Label(6.0, y - 6 if y > 24 else y + 16, "start", text, "limit"))
    return bars, labels


def _stairs(places: Sequence[tuple[float, float]]) -> Points:
    """The border of what the places reach: right and upwards of any is worse (y falls)."""
    steps: list[tuple[float, float]] = []
    lowest = float("-inf")
    for x, y in sorted(places, key=lambda place: (place[0], -place[1])):
        if y > lowest:
            if steps:
                steps.append((x, lowest))
            steps.append((x, y))
            lowest = y
    return tuple(steps)


def convergence_curve(record: SearchRecord) -> Curve | None:
    """The hypervolume over the evaluations; None where it was not recorded."""
    progress = record.progress
    if not progress:
        return None
    last, final = max(n for n, _ in progress), progress[-1][1]
    top = nice_steps(max(volume for _, volume in progress))
    end = nice_steps(float(max(last, 1)))

    def place(evaluations: float, volume: float) -> tuple[float, float]:
        return WIDTH * evaluations / max(last, 1), HEIGHT * (1 - volume / top[-1])

    points: list[tuple[float, float]] = []
    for evaluations, volume in progress:
        x, y = place(evaluations, volume)
        if points:
            points.append((x, points[-1][1]))
        points.append((x, y))
    every = -(-len(progress) // NUM_CURVE_DOTS)
    shown = [*progress[:-1:every], progress[-1]]
    dots = tuple(
        Dot(*place(n, volume), EVALUATED, "front", _volume_text(n, volume, final))
        for n, volume in shown
    )
    return Curve(
        x_marks=tuple(Mark(place(n, 0)[0], f"{n:g}") for n in end if n <= last),
        y_marks=tuple(Mark(place(0, v)[1], f"{v:g}") for v in top),
        points=tuple(points),
        dots=dots,
    )


def _volume_text(evaluations: int, volume: float, final: float) -> str:
    share = f" ({volume / final:.1%} of the last)" if final else ""
    return f"{evaluations} evaluations: {volume:.4g}{share}"
