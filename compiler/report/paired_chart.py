"""Geometry of a chart of two times for each layer, one column behind the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from octavo.compiler.report.charts import HEIGHT, MIN_BAR, WIDTH, Bar, Chart, Tick, nice_steps
from octavo.compiler.report.units import time_text

FRONT_PART = 0.6  # of a column's width, so that the one behind it is seen
BEHIND = "before"  # CSS class of the columns behind


@dataclass(frozen=True)
class Pair:
    """Two times of a layer.

    Attributes:
        behind_us: The wide column; None for none.
        front_us: The narrow one in front of it; None for none.
        kind: CSS class of the one in front.
        title: Hover text of both.
    """

    behind_us: float | None
    front_us: float | None
    kind: str
    title: str


def paired_chart(
    pairs: Sequence[Pair], text: Callable[[float], str] = time_text
) -> Chart:
    """Draw them side by side; ``text`` writes the marks of the scale."""
    times = [time for pair in pairs for time in (pair.behind_us, pair.front_us) if time]
    steps = nice_steps(max(times, default=0.0))
    pitch = WIDTH / max(len(pairs), 1)
    gap = min(2.0, pitch * 0.2)

    def column(index: int, time_us: float, part: float, kind: str) -> Bar:
        height = max(HEIGHT * time_us / steps[-1], MIN_BAR)
        width = max((pitch - gap) * part, MIN_BAR)
        x = (index + 0.5) * pitch - width / 2
        return Bar(x, HEIGHT - height, width, height, kind, pairs[index].title)

    bars = []
    for i, pair in enumerate(pairs):
        if pair.behind_us is not None:
            bars.append(column(i, pair.behind_us, 1.0, BEHIND))
        if pair.front_us is not None:
            bars.append(column(i, pair.front_us, FRONT_PART, pair.kind))
    ticks = tuple(
        Tick(HEIGHT * (1 - step / steps[-1]), text(step) if step else "0")
        for step in steps
    )
    return Chart(tuple(bars), (), ticks)
