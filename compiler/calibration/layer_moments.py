"""Moments of what layers read and what they should compute."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.calibration.layer_tensors import LayerTensors
from octavo.compiler.calibration.rounding_layers import RoundingLayer
from octavo.passes.rounding.columns import input_columns, num_positions, output_rows
from octavo.passes.rounding.moments import Moments, MomentSums

# Of one sample: neighbours in an image say nearly the same, and samples are many.
MAX_POSITIONS = 1024


@dataclass(frozen=True, eq=False)
class Halves:
    """Moments of one layer.

    Attributes:
        fitting: Of every second sample.
        checking: Of the others.
    """

    fitting: Moments
    checking: Moments


def gather_moments(
    tensors: Iterable[LayerTensors], layers: Sequence[RoundingLayer]
) -> list[Halves]:
    """The moments of each layer; both halves are the same when there is one sample only.

    Args:
        tensors: Of these layers, by their index.
        layers: Each has tensors.
    """
    sums = [_Sums(layer) for layer in layers]
    for found in tensors:
        sums[found.layer].add(found)
    return [each.halves() for each in sums]


def moments_of(tensors: Iterable[LayerTensors], layer: RoundingLayer) -> Halves:
    """The moments of one layer, whatever its index."""
    sums = _Sums(layer)
    for found in tensors:
        sums.add(found)
    return sums.halves()


def drawn_columns(
    layer: RoundingLayer,
    tensors: LayerTensors,
    *,
    max_positions: int = MAX_POSITIONS,
    seed: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Columns (G, positions, K) that a layer reads, and its outputs, (G, positions, O).

    Positions are drawn when there are more than ``max_positions``; which ones follows from
    the seed, the number of the sample, and how many there are.
    """
    count = num_positions(layer.head, tensors.y)
    positions = np.arange(count)
    if count > max_positions:
        rng = np.random.default_rng((seed, tensors.sample))
        positions = np.sort(rng.choice(count, max_positions, replace=False))
    columns = input_columns(layer.head, tensors.x, layer.stored.kernel, positions)
    return columns, output_rows(layer.head, tensors.y, layer.weight.shape[0], positions)


class _Sums:
    """Of both halves of the samples of one layer."""

    def __init__(self, layer: RoundingLayer) -> None:
        groups, outputs, columns = layer.weight.shape
        self._layer = layer
        self._halves = [MomentSums(groups, outputs, columns) for _ in range(2)]

    def add(self, tensors: LayerTensors) -> None:
        self._halves[tensors.sample % 2].add(*drawn_columns(self._layer, tensors))

    def halves(self) -> Halves:
        fit, check = self._halves
        return Halves(fit.moments(), (check if check.count else fit).moments())
