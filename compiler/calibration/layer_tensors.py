"""What layers read and what they should compute, sample after sample."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.frontier import Frontier
from octavo.compiler.calibration.reference_run import Arrays, ReferenceRun
from octavo.compiler.calibration.rounding_layers import RoundingLayer
from octavo.compiler.calibration.subgraph import ending_at
from octavo.passes.rounding.activation_grid import activation_grid
from octavo.passes.rounding.stored_layer import float_bias

# Of the tensors between layers, of all samples: fewer samples are walked when there are more.
MAX_FRONTIER_BYTES = 512 * 2**20
MIN_SAMPLES = 2  # one to choose by, one to judge by

FloatArray = NDArray[np.float32]
Sample = Mapping[str, NDArray[Any]]


class LayerTensors(NamedTuple):
    """One layer's tensors of one sample.

    Attributes:
        sample: Its number.
        layer: Its index.
        x: What the layer reads.
        y: What it should compute, bias included.
    """

    sample: int
    layer: int
    x: FloatArray
    y: FloatArray


def float_tensors(
    model: ir.Model, layers: Sequence[RoundingLayer], samples: Sequence[Sample]
) -> Iterator[LayerTensors]:
    """Tensors of all layers in one run of the float network.

    Args:
        model: Prepared float model.
        layers: Their inputs are rounded as the quantized model rounds them.
        samples: One mapping from input name to array for each inference.

    Raises:
        ModelError: The network cannot be run.
    """
    inputs = [_input(layer) for layer in layers]
    wanted = [*(_output(layer) for layer in layers), *inputs]
    part, found = ending_at(model, [value.name or "" for value in dict.fromkeys(wanted)])
    # Which other layers are asked for must not matter: choices of integers are sensitive.
    run = ReferenceRun(part, found, as_written=True)
    for number, sample in enumerate(samples):
        tensors = run.run(sample)
        for index, layer in enumerate(layers):
            x = as_read(layer.stored.node.inputs[0], tensors[inputs[index].name or ""])
            yield LayerTensors(number, index, x, _target(layer, tensors))


class LayerWalk:
    """Goes from layer to layer; each may be changed when it was visited."""

    def __init__(
        self,
        float_model: ir.Model,
        quantized: ir.Model,
        layers: Sequence[RoundingLayer],
        samples: Sequence[Sample],
        *,
        sequential: bool = True,
        rounded: bool = True,
    ) -> None:
        """Prepare the runs of both models.

        Args:
            float_model: Prepared float model.
            quantized: The same after quantization.
            layers: Of these two models, in graph order; each one will be visited.
            samples: One mapping from input name to array for each inference. Some are left
                out when tensors of all would not fit into memory.
            sequential: Inputs come from the quantized predecessors as they are when the layer
                is visited; otherwise from the float network.
            rounded: Whether inputs are as the layer reads them, or as they are before that.
        """
        self._layers = layers
        self._rounded = rounded
        self._quantized: Frontier | None = None
        outputs = [_output(layer) for layer in layers]
        if sequential:
            sources = [_stored_input(layer) for layer in layers]
            if not rounded:
                sources = [_unrounded(value) for value in sources]
            self._float = Frontier(float_model, [(value,) for value in outputs])
            self._quantized = Frontier(quantized, [(value,) for value in sources])
        else:
            sources = [_input(layer) for layer in layers]
            self._float = Frontier(float_model, list(zip(outputs, sources, strict=True)))
        self._sources = [value.name or "" for value in sources]
        frontiers = [f for f in (self._float, self._quantized) if f is not None]
        each = max(1, sum(frontier.peak_bytes for frontier in frontiers))
        count = min(len(samples), max(MIN_SAMPLES, MAX_FRONTIER_BYTES // each))
        chosen = np.linspace(0, len(samples) - 1, count).round().astype(int)
        for frontier in frontiers:
            frontier.start([samples[index] for index in chosen])

    def visit(self, index: int) -> Iterator[LayerTensors]:
        """Tensors of one layer for each sample; to be exhausted.

        Args:
            index: One more than the last time, 0 at first.

        Raises:
            ModelError: A model cannot be run.
        """
        layer, name = self._layers[index], self._sources[index]
        exact = self._float.advance(index)
        if self._quantized is not None:
            pairs = zip(exact, self._quantized.advance(index), strict=True)
            for number, (tensors, read) in enumerate(pairs):
                yield LayerTensors(number, index, read[name], _target(layer, tensors))
            return
        for number, tensors in enumerate(exact):
            x = tensors[name]
            if self._rounded:
                x = as_read(layer.stored.node.inputs[0], x)
            yield LayerTensors(number, index, x, _target(layer, tensors))


def as_read(value: ir.Value | None, x: FloatArray) -> FloatArray:
    """Round a float tensor as the quantized model does in front of ``value``."""
    grid = activation_grid(value)
    return x if grid is None else grid.rounded(x)


def _unrounded(value: ir.Value) -> ir.Value:
    """What is rounded to make ``value``, or itself when nothing is."""
    grid = activation_grid(value)
    return value if grid is None else grid.source


def _target(layer: RoundingLayer, tensors: Arrays) -> FloatArray:
    y = tensors[_output(layer).name or ""]
    bias = float_bias(layer.head)
    return y if bias is None else np.asarray(y + bias)


def _output(layer: RoundingLayer) -> ir.Value:
    return layer.head.outputs[0]


def _input(layer: RoundingLayer) -> ir.Value:
    value = layer.head.inputs[0]
    assert value is not None
    return value


def _stored_input(layer: RoundingLayer) -> ir.Value:
    value = layer.stored.node.inputs[0]
    assert value is not None
    return value
