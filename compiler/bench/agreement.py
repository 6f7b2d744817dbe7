"""How far a runtime's outputs are from the reference's: speed means nothing without that."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.calibration.signal_to_noise import MAX_DB
from octavo.errors import DataError

Outputs = Mapping[str, NDArray[Any]]

# What counts as the same network: rounding in float32, 8 bits of a significand, and 8-bit
# weights in layers that follow one another. A fast wrong rival is no rival.
MIN_SQNR_DB = {"float32": 60.0, "bf16": 15.0, "int8": 10.0, "int16": 10.0}


@dataclass(frozen=True)
class Grid:
    """The values that an output can have.

    Attributes:
        step: From one to the next.
        zero_point: Number that stands for 0.
    """

    step: float = 1.0
    zero_point: int = 0


@dataclass(frozen=True)
class Agreement:
    """Outputs of several inferences against the reference.

    Attributes:
        equal_share: Part of the values that are equal, 0..1.
        sqnr_db: Signal to noise of the output that has least of it, decibels, within -150
            and 150; 150 without any difference.
        max_difference: Largest one; infinite where a value is no number on one side only.
        max_steps: The same in steps of the output; None where one can have any value.
    """

    equal_share: float
    sqnr_db: float
    max_difference: float
    max_steps: float | None

    def is_same_network(self, precision: str) -> bool:
        """Whether the difference is no more than what this precision may cost."""
        return self.sqnr_db >= MIN_SQNR_DB[precision]


def compare_outputs(
    expected: Sequence[Outputs],
    actual: Sequence[Outputs],
    grids: Mapping[str, Grid] | None = None,
) -> Agreement:
    """Compare the outputs of several inferences.

    Args:
        expected: Of the reference, at least one inference.
        actual: Of a contestant, for the same inputs. Outputs of other names are taken in
            order.
        grids: Of outputs that are quantized, by the reference's names.

    Raises:
        DataError: There are other outputs, or they have other shapes.
    """
    grids = {} if grids is None else grids
    named = [_named(expected[0], outputs) for outputs in actual]
    found = [
        _compare_output(
            name, [e[name] for e in expected], [a[name] for a in named], grids.get(name)
        )
        for name in expected[0]
    ]
    sizes = [sum(outputs[name].size for outputs in expected) for name in expected[0]]
    equal = sum(a.equal_share * size for a, size in zip(found, sizes, strict=True))
    steps = [agreement.max_steps for agreement in found]
    return Agreement(
        equal_share=equal / sum(sizes) if sum(sizes) else 1.0,
        sqnr_db=min(agreement.sqnr_db for agreement in found),
        max_difference=max(agreement.max_difference for agreement in found),
        max_steps=None if None in steps else max(s for s in steps if s is not None),
    )


def _named(expected: Outputs, actual: Outputs) -> Outputs:
    """The outputs under the reference's names."""
    if expected.keys() == actual.keys():
        return actual
    if len(expected) != len(actual):
        raise DataError(f"it has {len(actual)} outputs, the reference {len(expected)}")
    return dict(zip(expected, actual.values(), strict=True))


def _compare_output(
    name: str,
    expected: Sequence[NDArray[Any]],
    actual: Sequence[NDArray[Any]],
    grid: Grid | None,
) -> Agreement:
    signal = noise = worst = 0.0
    num_equal = num_values = 0
    for exact, given in zip(expected, actual, strict=True):
        if exact.shape != given.shape:
            raise DataError(
                f"its output {name!r} has the shape {given.shape},"
                f" the reference's {exact.shape}"
            )
        one, other = exact.astype(np.float64), given.astype(np.float64)
        is_equal = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(invalid="ignore"):
            difference = np.where(is_equal, 0.0, np.abs(one - other))
        difference[np.isnan(difference)] = math.inf
        zero_point = 0 if grid is None else grid.zero_point
        signal += float(np.square(one[np.isfinite(one)] - zero_point).sum())
        noise += float(np.square(difference).sum())
        worst = max(worst, float(difference.max(initial=0.0)))
        num_equal, num_values = num_equal + int(is_equal.sum()), num_values + one.size
    return Agreement(
        equal_share=num_equal / num_values if num_values else 1.0,
        sqnr_db=_decibels(signal, noise),
        max_difference=worst,
        max_steps=None if grid is None else worst / grid.step,
    )


def _decibels(signal: float, noise: float) -> float:
    if noise == 0.0:
        return MAX_DB
    if signal == 0.0 or not math.isfinite(noise):
        return -MAX_DB
    return min(MAX_DB, max(-MAX_DB, 10.0 * math.log10(signal / noise)))
