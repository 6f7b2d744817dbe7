"""Geometry of a chart of how the front of a search grew."""

from dataclasses import dataclass

from octavo.compiler.report.charts import HEIGHT, WIDTH, nice_steps
from octavo.compiler.report.roofline_chart import Dot, Mark
from octavo.compiler.report.scale import Scale
from octavo.compiler.report.search_record import SearchRecord

RADIUS = 3.5
MAX_DOTS = 60  # more hide the line
GAP = 30.0  # between marks
AIR = 0.1  # of the range, below and above
LEAST_RANGE = 0.02  # of the largest volume


@dataclass(frozen=True)
class Curve:
    """A line over a count, WIDTH x HEIGHT user units.

    Attributes:
        x_marks: Of the scale below.
        y_marks: Of the scale at the left.
        points: Of the line, which goes in steps.
        dots: On the line.
    """

    x_marks: tuple[Mark, ...]
    y_marks: tuple[Mark, ...]
    points: tuple[tuple[float, float], ...]
    dots: tuple[Dot, ...]


def convergence_chart(record: SearchRecord) -> Curve | None:
    """The hypervolume over the evaluations; None where it was not recorded."""
    progress = record.progress
    if not progress:
        return None
    last, final = max(1, *(n for n, _ in progress)), progress[-1][1]
    scale = _scale([volume for _, volume in progress])

    def place(evaluations: float, volume: float) -> tuple[float, float]:
        return WIDTH * evaluations / last, HEIGHT - scale.at(volume)

    points: list[tuple[float, float]] = []
    for evaluations, volume in progress:
        x, y = place(evaluations, volume)
        if points:
            points.append((x, points[-1][1]))
        points.append((x, y))
    every = -(-len(progress) // MAX_DOTS)
    counts = (n for n in nice_steps(float(last)) if n <= last and n == round(n))
    return Curve(
        x_marks=tuple(Mark(place(n, 0.0)[0], f"{n:g}") for n in counts),
        y_marks=tuple(Mark(HEIGHT - at, label) for at, label in scale.marks(GAP)),
        points=tuple(points),
        dots=tuple(
            Dot(*place(n, volume), RADIUS, "front", _text(n, volume, final))
            for n, volume in (*progress[:-1:every], progress[-1])
        ),
    )


def _scale(volumes: list[float]) -> Scale:
    """Not from zero: the first points already cover most of the space."""
    low, high = min(volumes), max(volumes)
    air = AIR * max(high - low, LEAST_RANGE * high or 1.0)
    return Scale(low - air, high + air, HEIGHT, "", "linear")


def _text(evaluations: int, volume: float, final: float) -> str:
    share = f" ({volume / final:.1%} of the last)" if final else ""
    return f"{evaluations} evaluations: {volume:.4g}{share}"
