"""Rounded weights for any configuration of formats of one network, each chosen once."""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from octavo.compiler.calibration.judge_layer import judge_layer, store_judged
from octavo.compiler.calibration.moment_cache import InputKey, MomentCache, input_key
from octavo.compiler.calibration.rounding_layers import (
    Rounding,
    RoundingLayer,
    find_layers,
)
from octavo.errors import RecipeError
from octavo.passes.rounding.choose_rounding import JudgedRounding
from octavo.passes.rounding.methods import MOMENT_METHODS

Progress = Callable[[str, int, int], None]
Key = tuple[InputKey, bytes]


class RoundedWeights:
    """Chooses integers, scales and biases of each layer for each format once.

    Every layer is rounded on the float network's tensors, rounded as in front of it, so that
    what is chosen for a layer depends on its own format only. A configuration of formats is
    assembled from what is known; what no configuration had before is computed and kept.

        weights = RoundedWeights(prepared, samples)
        for quantized in candidates:  # made of ``prepared`` by InsertQuantizers, any formats
            weights.apply(quantized)

    An output channel keeps its nearest integers unless others have the smaller error on every
    second sample, which nothing was chosen by. Memory: the samples, moments of at most
    512 MiB, and one byte for each weight and format.
    """

    def __init__(
        self,
        model: ir.Model,
        samples: Iterable[Mapping[str, NDArray[Any]]],
        *,
        rounding: str = "second_order",
        max_bits: int = 4,
    ) -> None:
        """Take a network.

        Args:
            model: Prepared float model; not changed.
            samples: One mapping from input name to array for each inference; held in memory.
            rounding: One of ``MOMENT_METHODS``.
            max_bits: Weights of more bits keep their nearest integers.

        Raises:
            RecipeError: ``rounding`` is not one of these.
        """
        if rounding not in MOMENT_METHODS:
            allowed = ", ".join(MOMENT_METHODS)
            raise RecipeError(f"rounding {rounding!r} of single layers; allowed: {allowed}")
        self._model = model
        self._rounding = rounding
        self._qmax = 2 ** (max_bits - 1) - 1
        self._moments = MomentCache(model, list(samples))
        self._judged: dict[Key, JudgedRounding] = {}

    def apply(self, quantized: ir.Model) -> ir.Model:
        """As ``round``; the same model."""
        self.round(quantized)
        return quantized

    def round(self, quantized: ir.Model, *, progress: Progress | None = None) -> Rounding:
        """Store the chosen constants of each layer for the format that it has, in place.

        Args:
            quantized: QDQ model of the network, weights rounded to nearest; nodes have the
                names of the float model's. Layers may have any formats.
            progress: Called with "round layers", layers done, layers in all.

        Returns:
            What was done; layers of more bits and layers in float have no record.

        Raises:
            ModelError: The network cannot be run.
        """
        layers, skipped = find_layers(self._model, quantized)
        layers = [layer for layer in layers if layer.stored.stored.grid.qmax <= self._qmax]
        keys = [_key(layer) for layer in layers]
        missing = [index for index, key in enumerate(keys) if key not in self._judged]
        done = len(layers) - len(missing)
        new_layers = [layers[index] for index in missing]
        # Sums on several threads have other last bits, and choices are sensitive to them.
        with threadpool_limits(1):
            for index, halves in self._moments.visit(new_layers):
                self._judged[keys[missing[index]]] = judge_layer(
                    self._rounding, new_layers[index], halves
                )
                done += 1
                if progress is not None:
                    progress("round layers", done, len(layers))
        pairs = zip(layers, keys, strict=True)
        records = [store_judged(layer, self._judged[key]) for layer, key in pairs]
        return Rounding(tuple(records), skipped)


def _key(layer: RoundingLayer) -> Key:
    """What the choice for a layer depends on, in one network."""
    stored = layer.stored
    digest = blake2b(np.ascontiguousarray(stored.stored.q).tobytes(), digest_size=16)
    digest.update(stored.stored.grid.scale.tobytes())
    digest.update(bytes((stored.has_bias, stored.can_rescale)))
    return input_key(layer), digest.digest()
