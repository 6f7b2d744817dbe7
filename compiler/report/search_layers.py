"""Formats of layers: along the front, and what the chosen ones cost."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from octavo.compiler.report.search_record import LayerScore, SearchedLayer, SearchRecord
from octavo.compiler.report.units import added_text, size_text

_WEIGHTS = re.compile(r"w(\d+)a\d+")
UNIFORM = "w8a8"  # what scores of layers are compared with


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


def weight_bits(name: str) -> int:
    """Bits of the weights of a format; 32 for float, and for what is not known."""
    found = _WEIGHTS.match(name)
    return int(found[1]) if found else 32


def format_kind(name: str) -> str:
    """CSS class of a format, by the bits of its weights."""
    return f"bits{weight_bits(name)}"


def heat_rows(record: SearchRecord) -> list[tuple[SearchedLayer, tuple[HeatCell, ...]]]:
    """Each layer with its format in each point of the front."""
    return [
        (layer, tuple(_heat_cell(point.formats.get(layer.name)) for point in record.front))
        for layer in record.layers
    ]


def _heat_cell(name: str | None) -> HeatCell:
    if name is None:
        return HeatCell("", "none")
    return HeatCell(
        name.removeprefix("w").replace("a", "/", 1) if _WEIGHTS.match(name) else name,
        format_kind(name),
    )


def formats_legend(record: SearchRecord) -> list[tuple[str, str]]:
    """(CSS class, words) of the formats along the front, fewest bits first."""
    found = sorted({weight_bits(name) for name in record.formats})
    return [(f"bits{n}", "float" if n == 32 else f"{n}-bit weights") for n in found]


def chosen_layers(record: SearchRecord) -> list[ChosenLayer]:
    """The layers of the chosen point; none where nothing was chosen."""
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
