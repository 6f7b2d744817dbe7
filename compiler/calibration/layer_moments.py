"""Gather what layers read and what they should compute, by reference runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.calibration.rounding_layers import RoundingLayer
from octavo.compiler.calibration.subgraph import ending_at
from octavo.passes.rounding.activation_grid import activation_grid
from octavo.passes.rounding.columns import input_columns, num_positions, output_rows
from octavo.passes.rounding.moments import Moments, MomentSums
from octavo.passes.rounding.stored_layer import float_bias

# Of one sample: neighbours in an image say nearly the same, and samples are many.
MAX_POSITIONS = 1024

Sample = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Halves:
    """Moments of one layer.

    Attributes:
        fitting: Of every second sample.
        checking: Of the others.
    """

    fitting: Moments
    checking: Moments


class LayerData:
    """Runs both models up to some layers, one sample at a time."""

    def __init__(
        self,
        float_model: ir.Model,
        quantized: ir.Model,
        layers: Sequence[RoundingLayer],
        *,
        sequential: bool,
        rounded: bool = True,
    ) -> None:
        """Prepare the runs.

        Args:
            float_model: Prepared float model.
            quantized: The same after quantization, as it is now.
            layers: Of these two models.
            sequential: Inputs come from the quantized predecessors; otherwise from the float
                network, rounded as the layer would read them.
            rounded: False: inputs as they are before they are rounded.
        """
        self._layers = layers
        self._sequential = sequential
        self._rounded = rounded
        targets = [layer.head.outputs[0] for layer in layers]
        sources = [_read_value(layer) for layer in layers]
        inputs = [layer.head.inputs[0] for layer in layers]
        known = [value for value in inputs if value is not None]
        wanted = dict.fromkeys(targets if sequential else (*targets, *known))
        self._float_run = _pruned(float_model, list(wanted))
        self._targets = [value.name or "" for value in targets]
        self._inputs = [value.name or "" for value in known]
        self._quantized_run: ReferenceRun | None = None
        if sequential:
            if not rounded:
                sources = [unrounded(value) for value in sources]
            self._inputs = [value.name or "" for value in sources]
            self._quantized_run = _pruned(quantized, list(dict.fromkeys(sources)))
        self._biases = [float_bias(layer.head) for layer in layers]

    def visit(
        self,
        samples: Sequence[Sample],
        visitor: Callable[[int, int, NDArray[np.float32], NDArray[np.float32]], None],
        *,
        max_positions: int = MAX_POSITIONS,
        seed: int = 0,
    ) -> None:
        """Call ``visitor(sample, layer, columns, outputs)`` for everything.

        Columns are (G, positions, K), outputs (G, positions, O), of at most ``max_positions``
        positions drawn for each sample and layer.
        """
        rng = np.random.default_rng(seed)
        for number, sample in enumerate(samples):
            exact = self._float_run.run(sample)
            source = exact
            if self._quantized_run is not None:
                source = self._quantized_run.run(sample)
            for index, layer in enumerate(self._layers):
                y = exact[self._targets[index]]
                bias = self._biases[index]
                if bias is not None:
                    y = y + bias
                count = num_positions(layer.head, y)
                positions = np.arange(count)
                if count > max_positions:
                    positions = np.sort(rng.choice(count, max_positions, replace=False))
                x = source[self._inputs[index]]
                if not self._sequential and self._rounded:
                    x = as_read(layer.stored.node.inputs[0], x)
                columns = input_columns(layer.head, x, layer.stored.kernel, positions)
                rows = output_rows(layer.head, y, layer.weight.shape[0], positions)
                visitor(number, index, columns, rows)


def gather_moments(
    data: LayerData, layers: Sequence[RoundingLayer], samples: Sequence[Sample]
) -> list[Halves]:
    """The moments of each layer; both halves are the same when there is one sample only."""
    sums = [tuple(_sums(layer) for _ in range(2)) for layer in layers]

    def add(
        number: int, index: int, columns: NDArray[np.float32], rows: NDArray[np.float32]
    ) -> None:
        sums[index][number % 2].add(columns, rows)

    data.visit(samples, add)
    return [
        Halves(fit.moments(), (check if check.count else fit).moments()) for fit, check in sums
    ]


def as_read(value: ir.Value | None, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round a float tensor as the quantized model does in front of ``value``."""
    grid = activation_grid(value)
    return x if grid is None else grid.rounded(x)


def unrounded(value: ir.Value) -> ir.Value:
    """What is rounded to make ``value``, or itself when nothing is."""
    grid = activation_grid(value)
    return value if grid is None else grid.source


def _sums(layer: RoundingLayer) -> MomentSums:
    groups, outputs, columns = layer.weight.shape
    return MomentSums(groups, outputs, columns)


def _read_value(layer: RoundingLayer) -> ir.Value:
    value = layer.stored.node.inputs[0]
    assert value is not None
    return value


def _pruned(model: ir.Model, values: Sequence[ir.Value]) -> ReferenceRun:
    part, found = ending_at(model, [value.name or "" for value in values])
    return ReferenceRun(part, found)
