"""Balance the channel ranges of consecutive linear layers without changing the function.

``W2 f(W1 x + b1)`` -> ``(W2 S) f(S^-1 W1 x + S^-1 b1)`` with diagonal positive S, for every
f with f(s x) = s f(x): Relu, LeakyRelu, PRelu, pooling. s_i = sqrt(r1_i / r2_i), where r1_i is
the range of output i of the first weight and r2_i that of input i of the second, makes both
ranges equal; chains of more than two layers are iterated until they settle.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", 4.1, equations 9 and 11.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import NameSource, add_constant
from octavo.passes.elementwise import is_zero_clip
from octavo.passes.linear_layers import (
    input_ranges,
    linear_bias,
    linear_weight,
    output_ranges,
    scale_inputs,
    scale_outputs,
)
from octavo.passes.wiring import is_op, only_consumer, replace_node, static_shape

_MAX_SWEEPS = 40
_SETTLED = 0.01  # largest |s - 1| of a sweep that counts as no change

# Commute with a positive factor for each channel and look at one channel at a time.
_HOMOGENEOUS = (
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Identity",
    "LeakyRelu",
    "MaxPool",
    "PRelu",
    "Relu",
)
_FLATTENING = ("Flatten", "Reshape", "Squeeze")


@dataclass(frozen=True, eq=False)
class LayerPair:
    """Two linear layers and what lies between them.

    Attributes:
        first: Its outputs are divided by s.
        second: Its inputs are multiplied by s.
        clips: Clip nodes between them, which never clip from above.
    """

    first: ir.Node
    second: ir.Node
    clips: tuple[ir.Node, ...]


class EqualizeLayers(ir.passes.InPlacePass):
    """Equalize every pair of layers that only each other read.

    Attributes:
        notes: After a run, one line for each pair that had to be skipped.
    """

    def __init__(self, *, min_imbalance: float = 1.0, unclipped: Collection[str] = ()) -> None:
        """Choose what to equalize.

        Args:
            min_imbalance: Leave a pair alone when its largest s is less than this many times
                its smallest: rounding a balanced network differently gains nothing.
            unclipped: Names of Clip(0, c) nodes whose input never exceeds c. A limit c is the
                same for all channels, so such a Clip becomes a Relu; other Clips end a pair.
        """
        super().__init__()
        self.min_imbalance = min_imbalance
        self.unclipped = frozenset(unclipped)
        self.notes: tuple[str, ...] = ()

    def clips_in_the_way(self, graph: ir.Graph) -> list[ir.Node]:
        """Clip(0, c) nodes between two layers that are unbalanced enough, in graph order."""
        return [clip for pair in self._unbalanced(graph) for clip in pair.clips]

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        unbalanced = self._unbalanced(graph)
        self.notes = tuple(note for pair in unbalanced if (note := self._obstacle(pair)))
        chosen = [pair for pair in unbalanced if not self._obstacle(pair)]
        total = _settle(graph, names, chosen)
        for pair in chosen:
            for clip in pair.clips:
                replace_node(graph, names, clip, "Relu", clip.inputs[:1])
        # On a network that is settled already, nothing moves by more than the tolerance.
        return ir.passes.PassResult(model, modified=total)

    def _unbalanced(self, graph: ir.Graph) -> list[LayerPair]:
        pairs = [_find_pair(node) for node in graph]
        return [
            pair
            for pair in pairs
            if pair is not None and _imbalance(pair) >= max(self.min_imbalance, 1.0)
        ]

    def _obstacle(self, pair: LayerPair) -> str:
        """Say what keeps a pair from being equalized, or return an empty string."""
        for clip in pair.clips:
            if clip.name not in self.unclipped:
                return (
                    f"{pair.first.name!r} and {pair.second.name!r} are not equalized:"
                    f" {clip.name!r} clips at one value for all channels"
                )
        return ""


def _find_pair(first: ir.Node) -> LayerPair | None:
    if not is_op(first, "Conv", "ConvTranspose", "Gemm") or _constants(first) is None:
        return None
    clips: list[ir.Node] = []
    for node in _followers(first):
        if is_op(node, "Conv", "ConvTranspose", "Gemm"):
            if node.inputs[0] is None or _constants(node) is None or not _fit(first, node):
                return None
            return LayerPair(first, node, tuple(clips))
        if is_op(node, "Clip") and is_zero_clip(node):
            clips.append(node)
        elif not is_op(node, *_HOMOGENEOUS) and not _is_flattening(node):
            return None
    return None


def _followers(node: ir.Node) -> Iterator[ir.Node]:
    following = only_consumer(node.outputs[0])
    while following is not None and following.inputs[0] is node.outputs[0]:
        yield following
        if len(following.outputs) != 1:
            return
        node, following = following, only_consumer(following.outputs[0])


def _is_flattening(node: ir.Node) -> bool:
    before, after = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if not is_op(node, *_FLATTENING) or not before or not after or len(before) < 2:
        return False
    # (N, C, 1, 1) -> (N, C): a feature still is a channel.
    return after == before[:2] and all(dim == 1 for dim in before[2:])


def _constants(node: ir.Node) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    weight = linear_weight(node)
    bias = linear_bias(node, weight) if weight is not None else None
    return None if weight is None or bias is None else (weight, bias)


def _fit(first: ir.Node, second: ir.Node) -> bool:
    weight_1, weight_2 = linear_weight(first), linear_weight(second)
    if weight_1 is None or weight_2 is None:
        return False
    return output_ranges(first, weight_1).size == input_ranges(second, weight_2).size


def _factors(pair: LayerPair) -> NDArray[np.float64]:
    weight_1, weight_2 = linear_weight(pair.first), linear_weight(pair.second)
    if weight_1 is None or weight_2 is None:
        raise ValueError(f"{pair.first.name!r} or {pair.second.name!r} lost its weight")
    r1, r2 = output_ranges(pair.first, weight_1), input_ranges(pair.second, weight_2)
    alive = (r1 > 0.0) & (r2 > 0.0)  # a dead channel has nothing to balance
    return np.sqrt(np.where(alive, r1, 1.0) / np.where(alive, r2, 1.0))


def _imbalance(pair: LayerPair) -> float:
    factors = _factors(pair)
    return float(factors.max() / factors.min())


def _settle(graph: ir.Graph, names: NameSource, pairs: list[LayerPair]) -> bool:
    changed = False
    for _ in range(_MAX_SWEEPS):
        largest = 0.0
        for pair in pairs:
            factors = _factors(pair)
            step = float(np.abs(factors - 1.0).max())
            if step > _SETTLED:
                _scale(graph, names, pair, factors)
                largest = max(largest, step)
        changed = changed or largest > 0.0
        if largest == 0.0:
            break
    return changed


def _scale(
    graph: ir.Graph, names: NameSource, pair: LayerPair, factors: NDArray[np.float64]
) -> None:
    first, second = _constants(pair.first), _constants(pair.second)
    if first is None or second is None:
        raise ValueError(f"{pair.first.name!r} or {pair.second.name!r} lost its weight")
    _store(graph, names, pair.first, 1, scale_outputs(pair.first, first[0], 1.0 / factors))
    if len(pair.first.inputs) > 2 and pair.first.inputs[2] is not None:
        bias = (first[1].astype(np.float64) / factors).astype(np.float32)
        _store(graph, names, pair.first, 2, bias)
    _store(graph, names, pair.second, 1, scale_inputs(pair.second, second[0], factors))


def _store(
    graph: ir.Graph,
    names: NameSource,
    node: ir.Node,
    position: int,
    array: NDArray[np.float32],
) -> None:
    """Replace a constant operand; one that this pass made is reused, a shared one is not."""
    old = node.inputs[position]
    if old is not None and old.const_value is not None and "equalized" in old.meta:
        old.const_value = ir.tensor(array, name=old.name)
        return
    base = old.name if old is not None and old.name else node.name or "layer"
    value = add_constant(graph, names, f"{base}_equalized", array)
    value.meta["equalized"] = True
    node.replace_input_with(position, value)
