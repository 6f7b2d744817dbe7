"""How far tensors are from the moments that their BatchNormalization stores, and by what.

``BatchNormalization(x; ..., mean, var)`` -> the same, and the mean of x - mean and of its
square in each channel; or the gradient of a loss of these by the network's inputs. What a
batch of images has in the mean is put together outside: one image runs at a time, and the
gradient by x is ``offset + slope * (x - mean)``, two numbers for each channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import float_constant
from octavo.passes.gradients.derivatives import add_gradients
from octavo.passes.gradients.emitter import Emitter, shape_of
from octavo.passes.wiring import is_float, is_op


@dataclass(frozen=True, eq=False)
class StoredMoments:
    """What a BatchNormalization has seen in training.

    Attributes:
        node: Its name.
        tensor: What it reads, (N, C, ...).
        mean: Of each channel, (C,).
        deviation: Standard deviation of each channel, (C,), 0 or more.
    """

    node: str
    tensor: ir.Value
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def stored_moments(graph: ir.Graph) -> list[StoredMoments]:
    """The moments of every BatchNormalization of computed tensors, in graph order."""
    inputs = set(graph.inputs)
    found = []
    for node in graph:
        if not is_op(node, "BatchNormalization") or node.inputs[0] in inputs:
            continue
        tensor = node.inputs[0]
        mean, variance = (float_constant(value) for value in node.inputs[3:5])
        if tensor is None or not is_float(tensor) or mean is None or variance is None:
            continue
        deviation = np.sqrt(np.maximum(variance.astype(np.float64), 0.0))
        if deviation.any():
            record = StoredMoments(node.name or "", tensor, mean.astype(np.float64), deviation)
            found.append(record)
    return found


def add_moments(
    graph: ir.Graph, stored: Sequence[StoredMoments]
) -> list[tuple[ir.Value, ir.Value]]:
    """Append the means, over all but channels, of x - mean and of its square; each (C,)."""
    emitter = Emitter(graph, ir.DataType.FLOAT)
    pairs = []
    for one in stored:
        centred = _centred(emitter, one)
        axes = emitter.ints(_all_but_channels(one.tensor))
        pair = [
            emitter.op("ReduceMean", value, axes, keepdims=0)
            for value in (centred, emitter.op("Mul", centred, centred))
        ]
        for value in pair:
            value.shape = ir.Shape(one.mean.shape)
        pairs.append((pair[0], pair[1]))
    return pairs


def add_input_gradients(
    graph: ir.Graph, stored: Sequence[StoredMoments]
) -> tuple[dict[ir.Value, ir.Value], list[tuple[str, str]]]:
    """Append the gradients by the graph's float inputs.

    Args:
        graph: Gets two inputs, each (C,), for every one of ``stored``.
        stored: Tensors that a loss depends on.

    Returns:
        The gradient of each input that matters, and the names of the inputs for offsets and
        slopes.

    Raises:
        ModelError: An operator between has no derivative; the message names it.
    """
    wanted = [value for value in graph.inputs if is_float(value)]
    emitter = Emitter(graph, ir.DataType.FLOAT)
    cotangents: dict[ir.Value, ir.Value] = {}
    names = []
    for one in stored:
        base = f"{one.tensor.name}/moments"
        pair = [
            ir.val(f"{base}/{what}", ir.DataType.FLOAT, one.mean.shape)
            for what in ("offset", "slope")
        ]
        graph.inputs.extend(pair)
        names.append((pair[0].name or "", pair[1].name or ""))
        taps = _taps(one.tensor)
        offset, slope = (emitter.reshaped(value, (-1, *taps)) for value in pair)
        change = emitter.op("Mul", slope, _centred(emitter, one))
        total = emitter.op("Add", change, offset)
        # Two normalizations may read the same tensor.
        before = cotangents.get(one.tensor)
        cotangents[one.tensor] = total if before is None else emitter.op("Add", before, total)
    return add_gradients(graph, cotangents, wanted), names


def _centred(emitter: Emitter, one: StoredMoments) -> ir.Value:
    mean = one.mean.reshape(-1, *_taps(one.tensor))
    return emitter.op("Sub", one.tensor, emitter.array(mean))


def _taps(tensor: ir.Value) -> tuple[int, ...]:
    return (1,) * (len(shape_of(tensor)) - 2)


def _all_but_channels(tensor: ir.Value) -> list[int]:
    return [0, *range(2, len(shape_of(tensor)))]
