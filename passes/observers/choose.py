"""Observers by name."""

from collections.abc import Callable

from octavo.passes.observers.base import Observer
from octavo.passes.observers.entropy import EntropyObserver
from octavo.passes.observers.min_max import MinMaxObserver, MovingAverageObserver
from octavo.passes.observers.mse import MseObserver
from octavo.passes.observers.percentile import PercentileObserver

BY_DEGREE = "degree"

OBSERVERS: dict[str, Callable[[], Observer]] = {
    "minmax": MinMaxObserver,
    "moving_average": MovingAverageObserver,
    "percentile": PercentileObserver,
    "mse": MseObserver,
    "entropy": EntropyObserver,
    # Where no node has a degree; see ``protected_share``.
    BY_DEGREE: MinMaxObserver,
}


def make_observer(name: str) -> Observer:
    """A new observer; ``percentile:99.9`` sets the percentile.

    Of ``degree``, which knows the degrees of nodes, the one for tensors without nodes.

    Raises:
        ValueError: The name is unknown or its number is not allowed.
    """
    kind, _, argument = name.partition(":")
    if kind not in OBSERVERS:
        raise ValueError(f"unknown calibrator {name!r}; known: {', '.join(OBSERVERS)}")
    if not argument:
        return OBSERVERS[kind]()
    try:
        number = float(argument)
    except ValueError as error:
        raise ValueError(f"calibrator {name!r}: {argument!r} is not a number") from error
    if kind == "percentile":
        return PercentileObserver(number)
    if kind == "moving_average" and 0.0 <= number < 1.0:
        return MovingAverageObserver(number)
    if kind == BY_DEGREE and 0.0 <= number <= 100.0:
        return OBSERVERS[kind]()
    raise ValueError(
        f"calibrator {name!r}; a number is allowed after percentile: (50..100),"
        " moving_average: (0..1) and degree: (0..100)"
    )


def protected_share(name: str) -> float | None:
    """Share of nodes that ``degree`` or ``degree:1`` (percent) protects, 0 to 1, else None.

    Args:
        name: A calibrator that ``make_observer`` takes.
    """
    kind, _, argument = name.partition(":")
    return float(argument or 0.0) / 100.0 if kind == BY_DEGREE else None
