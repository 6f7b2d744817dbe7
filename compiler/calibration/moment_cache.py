"""Moments of a float network's layers, kept while memory allows."""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir

from octavo.compiler.calibration.layer_moments import Halves, gather_moments
from octavo.compiler.calibration.layer_tensors import Sample, float_tensors
from octavo.compiler.calibration.rounding_layers import MAX_MOMENT_BYTES, RoundingLayer
from octavo.passes.rounding.activation_grid import activation_grid

InputKey = tuple[str, tuple[float, ...]]


class MomentCache:
    """Gathers moments of many layers in one run, and not again as long as they fit."""

    def __init__(self, model: ir.Model, samples: Sequence[Sample]) -> None:
        """Take a prepared float model; every second sample is of the other half."""
        self._model = model
        self._samples = samples
        self._held: dict[InputKey, tuple[Halves, int]] = {}  # the oldest first

    def visit(self, layers: Sequence[RoundingLayer]) -> Iterator[tuple[int, Halves]]:
        """The moments of each layer with its index; those that are known come first.

        Args:
            layers: Inputs are the float network's, rounded as a quantized model rounds them.

        Raises:
            ModelError: The network cannot be run.
        """
        keys = [input_key(layer) for layer in layers]
        unknown = [index for index, key in enumerate(keys) if key not in self._held]
        for index, key in enumerate(keys):
            if index not in unknown:
                yield index, self._held[key][0]
        for group in grouped(layers, unknown):
            members = [layers[index] for index in group]
            self._make_room(sum(layer.moments_bytes for layer in members))
            tensors = float_tensors(self._model, members, self._samples)
            found = gather_moments(tensors, members)
            for index, layer, halves in zip(group, members, found, strict=True):
                self._held[keys[index]] = halves, layer.moments_bytes
                yield index, halves

    def _make_room(self, num_bytes: int) -> None:
        held = sum(size for _, size in self._held.values())
        for key in list(self._held):
            if held + num_bytes <= MAX_MOMENT_BYTES:
                break
            held -= self._held.pop(key)[1]


def input_key(layer: RoundingLayer) -> InputKey:
    """What the moments of a layer depend on, in one network."""
    grid = activation_grid(layer.stored.node.inputs[0])
    if grid is None:
        return layer.name, ()
    return layer.name, (grid.scale, grid.zero_point, grid.qmin, grid.qmax)


def grouped(layers: Sequence[RoundingLayer], indices: Sequence[int]) -> list[list[int]]:
    """Layers in groups whose moments fit into memory together."""
    groups: list[list[int]] = []
    sizes = np.array([layer.moments_bytes for layer in layers])
    for index in indices:
        if not groups or sizes[[*groups[-1], index]].sum() > MAX_MOMENT_BYTES:
            groups.append([])
        groups[-1].append(index)
    return groups
