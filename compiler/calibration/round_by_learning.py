"""Learn the constants of layers by AdaQuant: weights, bias, scales and what is read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.layer_moments import drawn_columns
from octavo.compiler.calibration.layer_tensors import LayerTensors, LayerWalk, Sample
from octavo.compiler.calibration.rounding_layers import RoundedLayer, RoundingLayer
from octavo.passes.rounding.activation_grid import activation_grid
from octavo.passes.rounding.choose_learned import Columns, Learned, choose_learned

MAX_COLUMN_BYTES = 128 * 2**20  # of one layer
MAX_COLUMNS = 8192  # more hardly change what is learned in steps of 256


def round_by_learning(
    float_model: ir.Model,
    quantized: ir.Model,
    layers: Sequence[RoundingLayer],
    samples: Sequence[Sample],
    *,
    sequential: bool,
    seed: int = 0,
) -> Iterator[RoundedLayer]:
    """Learn layers in place, in order; one record for each.

    Args:
        float_model: Prepared float model.
        quantized: Of the same layers.
        layers: Of these two models, in graph order.
        samples: One mapping from input name to array for each inference.
        sequential: Layers read what the quantized network computes, else the float network.
        seed: Of the positions and batches.
    """
    walk = LayerWalk(
        float_model, quantized, layers, samples, sequential=sequential, rounded=False
    )
    for index, layer in enumerate(layers):
        fitting, checking = _columns(walk.visit(index), layer, len(samples), seed)
        stored = layer.stored
        grid = activation_grid(stored.node.inputs[0])
        learned = choose_learned(
            layer.weight,
            stored.stored,
            fitting,
            checking,
            has_bias=stored.has_bias,
            can_rescale=stored.can_rescale,
            grid=grid,
            learn_grid=grid is not None and grid.is_own_of(stored.node),
        )
        is_written = _write(layer, learned)
        after = learned.error_after if is_written else learned.error_before
        old = stored.stored.q
        changed = int((learned.choice.q != old).sum()) if is_written else 0
        yield RoundedLayer(layer.name, learned.error_before, after, changed, old.size)


def _write(layer: RoundingLayer, learned: Learned) -> bool:
    stored = layer.stored
    if learned.choice is stored.stored:
        return True
    grid = activation_grid(stored.node.inputs[0])
    # The scale of the bias is made of that of the input: the input goes first.
    if grid is not None and learned.scale is not None and learned.zero_point is not None:
        grid.write(learned.scale, learned.zero_point)
    if stored.write(learned.choice):
        return True
    if grid is not None:
        grid.write(grid.scale, grid.zero_point)
    return False


@dataclass(frozen=True, eq=False)
class _Half:
    x: list[NDArray[np.float32]] = field(default_factory=list)
    y: list[NDArray[np.float32]] = field(default_factory=list)

    def columns(self) -> Columns:
        return Columns(np.concatenate(self.x, axis=1), np.concatenate(self.y, axis=1))


def _columns(
    tensors: Iterable[LayerTensors], layer: RoundingLayer, num_samples: int, seed: int
) -> tuple[Columns, Columns]:
    """Every second sample to learn from, and the others to judge by."""
    groups, outputs, columns = layer.weight.shape
    affordable = MAX_COLUMN_BYTES // (4 * groups * (columns + outputs))
    each = max(1, min(affordable, 2 * MAX_COLUMNS) // max(1, num_samples))
    halves = _Half(), _Half()
    for found in tensors:
        x, y = drawn_columns(layer, found, max_positions=each, seed=seed)
        half = halves[found.sample % 2]
        half.x.append(x)
        half.y.append(y)
    fitting = halves[0].columns()
    return fitting, halves[1].columns() if halves[1].x else fitting
