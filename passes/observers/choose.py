"""Observers by name."""

from collections.abc import Callable

from octavo.passes.observers.base import Observer
from octavo.passes.observers.entropy import EntropyObserver
from octavo.passes.observers.min_max import MinMaxObserver, MovingAverageObserver
from octavo.passes.observers.mse import MseObserver
from octavo.passes.observers.percentile import PercentileObserver

OBSERVERS: dict[str, Callable[[], Observer]] = {
    "minmax": MinMaxObserver,
    "moving_average": MovingAverageObserver,
    "percentile": PercentileObserver,
    "mse": MseObserver,
    "entropy": EntropyObserver,
}


def make_observer(name: str) -> Observer:
    """A new observer; ``percentile:99.9`` sets the percentile.

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
    raise ValueError(
        f"calibrator {name!r}; a number is allowed after percentile: (50..100)"
        " and moving_average: (0..1)"
    )
