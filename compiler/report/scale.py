"""Scales of charts whose axes need not begin at zero."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from octavo.compiler.report.units import KIB, THOUSAND

MARGIN = 0.06  # of the length, on either side of the values
LOG_RATIO = 4.0  # wider ranges of positive values are shown by their ratios
STRETCH = 0.2  # points of accuracy below which a stretched scale is nearly linear
STRETCHED_RANGE = 8.0  # points; a smaller range has room for itself
MIN_RANGE = {"points": 1.0, "dB": 2.0}  # of an axis, so that noise does not fill it
SMALLEST = 1e-12
NICE = (1.0, 2.0, 2.5, 5.0)


@dataclass(frozen=True)
class Scale:
    """Values along an axis.

    Attributes:
        low: Where it begins, in the unit of the values.
        high: Where it ends, above ``low``.
        length: User units.
        unit: Of the values.
        kind: "linear", "log" or "stretched" (near zero).
    """

    low: float
    high: float
    length: float
    unit: str
    kind: str

    def at(self, value: float) -> float:
        """User units from the beginning; outside values are put at the ends."""
        bend = _BENDS[self.kind]
        low, high = bend(self.low), bend(self.high)
        inside = min(max(value, self.low), self.high)
        return self.length * (bend(inside) - low) / (high - low)

    def holds(self, value: float) -> bool:
        """Whether the value is on the axis."""
        return self.low <= value <= self.high

    def marks(self, gap: float) -> list[tuple[float, str]]:
        """Round values with their labels, at least ``gap`` user units apart."""
        factor = _display_unit(self.high, self.unit)[0]
        if self.kind == "linear":
            ranks = [self._linear(gap, factor)]
        elif self.kind == "log":
            ranks = _decades(self.low / factor, self.high / factor, binary=self.unit == "B")
        else:
            ranks = _around_zero(max(abs(self.low), abs(self.high)))
        taken: dict[float, float] = {}
        for rank in ranks:
            for shown in rank:
                place = self.at(shown * factor)
                if self.holds(shown * factor) and all(
                    abs(place - other) >= gap - SMALLEST for other in taken
                ):
                    taken[place] = shown
        return [(place, _label(taken[place] * factor, self.unit)) for place in sorted(taken)]

    def _linear(self, gap: float, factor: float) -> list[float]:
        low, high = self.low / factor, self.high / factor
        least = (high - low) * gap / self.length
        magnitude = 10.0 ** math.floor(math.log10(least))
        step = next(n * magnitude for n in (*NICE, 10.0) if n * magnitude >= least)
        first, last = math.ceil(low / step), math.floor(high / step)
        return [round(i * step, 12) for i in range(first, last + 1)]


_BENDS: dict[str, Callable[[float], float]] = {
    "linear": lambda value: value,
    "log": math.log,
    "stretched": lambda value: math.asinh(value / STRETCH),
}


def fit_scale(values: Iterable[float], length: float, unit: str) -> Scale:
    """A scale around values, with some air.

    Args:
        values: At least one, finite.
        length: User units.
        unit: "points", "dB", "ms", "B", or what is counted.
    """
    found = list(values)
    low, high = min(found), max(found)
    kind = "linear"
    if unit == "points" and high - low > STRETCHED_RANGE:
        kind = "stretched"
    elif unit not in MIN_RANGE and low > 0 and high / low > LOG_RATIO:
        kind = "log"
    least = MIN_RANGE.get(unit, max(0.1 * abs(high), SMALLEST))
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    bend, back = _BENDS[kind], _UNBENT[kind]
    air = MARGIN * (bend(high) - bend(low))
    return Scale(back(bend(low) - air), back(bend(high) + air), length, unit, kind)


_UNBENT: dict[str, Callable[[float], float]] = {
    "linear": lambda value: value,
    "log": math.exp,
    "stretched": lambda value: STRETCH * math.sinh(value),
}


def _display_unit(high: float, unit: str) -> tuple[float, str]:
    """How many of the unit are one of the unit that labels have."""
    steps: tuple[tuple[float, str], ...]
    if unit == "ms":
        steps = ((THOUSAND, "s"), (1.0, "ms"), (1 / THOUSAND, "us"))
    elif unit == "B":
        steps = ((KIB**3, "GiB"), (KIB**2, "MiB"), (KIB, "KiB"), (1, "B"))
    elif unit in MIN_RANGE:
        return 1.0, unit if unit == "dB" else ""
    else:
        steps = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""))
    return next((step for step in steps if high >= step[0]), steps[-1])


def _label(value: float, unit: str) -> str:
    """A round value in the largest unit that leaves at least 1, without needless digits."""
    factor, name = _display_unit(abs(value), unit)
    return f"{round(value / factor, 9):g} {name}".strip()


def _decades(low: float, high: float, *, binary: bool) -> list[list[float]]:
    """Round values of a logarithmic axis, the roundest first."""
    if binary:
        powers = range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)
        return [[2.0**power for power in powers]]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = ((1.0,), (2.0, 5.0), (1.5, 3.0, 7.0))
    return [[f * 10.0**power for power in powers for f in rank] for rank in factors]


def _around_zero(largest: float) -> list[list[float]]:
    """Round values of a stretched axis, zero first."""
    powers = range(-1, math.ceil(math.log10(max(largest, 1.0))) + 1)
    found = [[0.0]]
    for factor in (1.0, 5.0, 2.0):
        sizes = [factor * 10.0**power for power in powers]
        found.append([sign * size for size in sizes for sign in (1, -1)])
    return found
