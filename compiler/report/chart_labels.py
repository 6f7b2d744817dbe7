"""Where names of dots have room in a chart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LETTER = 6.7  # user units, of an average letter of the charts' font
LINE = 14.0
GAP = 4.0  # between a dot and its name
AIR = 2.0  # around a name


@dataclass(frozen=True)
class Wanted:
    """A name for a dot.

    Attributes:
        x: Middle of the dot.
        y: The same.
        radius: Of the dot.
        text: Its name.
        kind: CSS class.
        is_needed: It is written wherever there is most room; others are left out instead.
    """

    x: float
    y: float
    radius: float
    text: str
    kind: str
    is_needed: bool


@dataclass(frozen=True)
class Label:
    """A text with its anchor ("start", "middle" or "end") at a place, CSS class ``kind``."""

    x: float
    y: float
    anchor: str
    text: str
    kind: str


@dataclass(frozen=True)
class Box:
    """An area that is taken."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Whether the two share any place."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def within(self, other: "Box") -> bool:
        """Whether it lies inside."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def dot_box(x: float, y: float, radius: float) -> Box:
    """The place that a dot takes."""
    return Box(x - radius, y - radius, x + radius, y + radius)


def text_box(label: Label) -> Box:
    """The place that a label takes."""
    width = LETTER * len(label.text)
    left = label.x - {"start": 0.0, "middle": width / 2, "end": width}[label.anchor]
    top = label.y - LINE * 0.75
    return Box(left - AIR, top, left + width + AIR, top + LINE)


def place_labels(wanted: Sequence[Wanted], taken: Iterable[Box], inside: Box) -> list[Label]:
    """Put names beside their dots, where they lie upon nothing else.

    Args:
        wanted: The most important first.
        taken: Areas that stay free, beside the dots themselves.
        inside: The chart.
    """
    boxes = [*taken, *(dot_box(w.x, w.y, w.radius) for w in wanted)]
    labels = []
    for item in wanted:
        label, has_room = best_place(_places(item), boxes, inside)
        if item.is_needed or has_room:
            labels.append(label)
            boxes.append(text_box(label))
    return labels


def best_place(
    places: Sequence[Label], taken: Sequence[Box], inside: Box
) -> tuple[Label, bool]:
    """Of the places for a label the one that hits least, the first of equals.

    Returns:
        The place, and whether it lies inside and hits nothing.
    """
    rated = []
    for rank, label in enumerate(places):
        box = text_box(label)
        hits = sum(box.meets(other) for other in taken)
        rated.append((not box.within(inside), hits, rank, label))
    is_outside, hits, _, label = min(rated, key=lambda row: row[:3])
    return label, not (hits or is_outside)


def _places(item: Wanted) -> list[Label]:
    away = item.radius + GAP
    middle = item.y + LINE * 0.28  # of small letters, not of the line
    below, above = item.y + away + LINE * 0.6, item.y - away
    near = away * 0.7
    return [
        Label(item.x + away, middle, "start", item.text, item.kind),
        Label(item.x + near, above + 2, "start", item.text, item.kind),
        Label(item.x, above, "middle", item.text, item.kind),
        Label(item.x, below, "middle", item.text, item.kind),
        Label(item.x - away, middle, "end", item.text, item.kind),
        Label(item.x + near, below, "start", item.text, item.kind),
        Label(item.x - near, below, "end", item.text, item.kind),
        Label(item.x - near, above, "end", item.text, item.kind),
    ]
