"""Move outlier channels of a normalized tensor into the weights that multiply it.

``LayerNormalization(x; g, b) -> MatMul(W)`` -> ``LayerNormalization(x; g/f, b/f) ->
MatMul(f W)``. When something else reads the tensor too, such as a residual sum,
``LayerNormalization -> Mul(1/f) -> MatMul(f W)``. Exact in float32; what changes is that a few
channels no longer set the scale of all the others.

Source: Xiao et al. 2023, "SmoothQuant"; the factors are those of ``channel_noise``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.channel_noise import ChannelStatistics, smoothing_factors
from octavo.passes.constants import NameSource, add_constant, float_constant
from octavo.passes.linear_layers import linear_weight, output_axis, scale_inputs
from octavo.passes.wiring import int_attribute, is_float, is_op, static_shape

MIN_GAIN_DB = 1.0  # half a decibel is within what other samples would change
MIN_GAIN_WITH_MUL_DB = 3.0  # half a bit; the multiplication reads and writes the tensor once

_DONE = "smoothed"


@dataclass(frozen=True, eq=False)
class _Smoothable:
    """A normalization and the linear layers that read it.

    Attributes:
        norm: The LayerNormalization.
        layers: Gemm and MatMul with a constant weight, in graph order.
        only_layers: Nothing else reads it.
    """

    norm: ir.Node
    layers: tuple[ir.Node, ...]
    only_layers: bool


class SmoothActivations(ir.passes.InPlacePass):
    """Smooth every normalized tensor whose statistics promise a gain.

    Attributes:
        multiplications: After a run, names of the Mul nodes that were inserted; they have to
            stay in float32.
    """

    def __init__(
        self,
        statistics: Mapping[str, ChannelStatistics],
        *,
        float_tensors: Collection[str] = (),
    ) -> None:
        """Take what calibration measured.

        Args:
            statistics: Of the tensors that ``smoothable_tensors`` names; others are left.
            float_tensors: Normalized tensors that float readers see before they are rounded:
                a Mul can be inserted behind these, others with such readers are left alone.
        """
        super().__init__()
        self.statistics = dict(statistics)
        self.float_tensors = frozenset(float_tensors)
        self.multiplications: tuple[str, ...] = ()

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        inserted: list[str] = []
        modified = False
        for found in _find(graph):
            name = found.norm.outputs[0].name or ""
            statistics = self.statistics.get(name)
            if statistics is None or not (found.only_layers or name in self.float_tensors):
                continue
            factors, gain_db = smoothing_factors(statistics, _stacked_weights(found.layers))
            if gain_db < (MIN_GAIN_DB if found.only_layers else MIN_GAIN_WITH_MUL_DB):
                continue
            if found.only_layers:
                _divide_norm(graph, names, found.norm, factors)
            else:
                inserted.append(_insert_mul(graph, names, found, factors))
            _multiply_weights(graph, names, found.layers, factors)
            modified = True
        self.multiplications = tuple(inserted)
        return ir.passes.PassResult(model, modified=modified)


def smoothable_tensors(graph: ir.Graph, excluded: Collection[ir.Node] = ()) -> list[ir.Value]:
    """The tensors whose statistics ``SmoothActivations`` wants, in graph order.

    Args:
        graph: Prepared float graph.
        excluded: Layers for which it is not worth it, such as those kept in float.
    """
    kept = set(excluded)
    return [
        found.norm.outputs[0] for found in _find(graph) if not kept.issuperset(found.layers)
    ]


def _find(graph: ir.Graph) -> list[_Smoothable]:
    candidates = (_examine(node) for node in graph if is_op(node, "LayerNormalization"))
    return [found for found in candidates if found is not None]


def _examine(norm: ir.Node) -> _Smoothable | None:
    output, shape = norm.outputs[0], static_shape(norm.outputs[0])
    if not shape or not is_float(output) or _DONE in norm.meta or len(norm.outputs) > 1:
        return None
    if int_attribute(norm, "axis", -1) not in (-1, len(shape) - 1):
        return None
    parameters = norm.inputs[1:3]
    if any(v is not None and _row(v, shape[-1]) is None for v in parameters):
        return None
    uses = list(output.uses())
    # The same tensor on both sides of a product would be scaled twice.
    layers = dict.fromkeys(use.node for use in uses if use.idx == 0 and _is_layer(use.node))
    read = sum(use.node in layers for use in uses)
    if not layers or read != len(layers):
        return None
    only_layers = read == len(uses) and not output.is_graph_output()
    return _Smoothable(norm, tuple(layers), only_layers)


def _is_layer(node: ir.Node) -> bool:
    if not is_op(node, "Gemm", "MatMul") or int_attribute(node, "transA", 0):
        return False
    return linear_weight(node) is not None


def _row(value: ir.Value, size: int) -> NDArray[np.float32] | None:
    array = float_constant(value)
    if array is None or array.size not in (1, size):
        return None
    return np.broadcast_to(array.reshape(-1), (size,))


def _stacked_weights(layers: tuple[ir.Node, ...]) -> NDArray[np.float64]:
    matrices = []
    for node in layers:
        weight = linear_weight(node)
        if weight is None:
            raise ValueError(f"{node.name!r} lost its weight")
        matrices.append(weight if output_axis(node) == 1 else weight.T)
    return np.concatenate(matrices, axis=1).astype(np.float64)


def _divide_norm(
    graph: ir.Graph, names: NameSource, norm: ir.Node, factors: NDArray[np.float64]
) -> None:
    for position, value in enumerate(norm.inputs[1:3], start=1):
        row = _row(value, factors.size) if value is not None else None
        if row is not None and value is not None:
            divided = (row / factors).astype(np.float32)
            base = f"{value.name or norm.name}_smoothed"
            norm.replace_input_with(position, add_constant(graph, names, base, divided))
    norm.meta[_DONE] = True


def _insert_mul(
    graph: ir.Graph, names: NameSource, found: _Smoothable, factors: NDArray[np.float64]
) -> str:
    source = found.norm.outputs[0]
    base = found.norm.name or source.name or "normalized"
    inverse = (1.0 / factors).astype(np.float32)
    constant = add_constant(graph, names, f"{base}_smoothing", inverse)
    node = ir.node("Mul", [source, constant], name=names.fresh(f"{base}_smooth"))
    result = node.outputs[0]
    result.name = names.fresh(f"{source.name}_smoothed")
    result.type, result.shape = source.type, source.shape
    graph.insert_after(found.norm, node)
    for layer in found.layers:
        layer.replace_input_with(0, result)
    found.norm.meta[_DONE] = True
    return node.name or ""


def _multiply_weights(
    graph: ir.Graph,
    names: NameSource,
    layers: tuple[ir.Node, ...],
    factors: NDArray[np.float64],
) -> None:
    for node in layers:
        weight, old = linear_weight(node), node.inputs[1]
        if weight is None or old is None:
            raise ValueError(f"{node.name!r} lost its weight")
        scaled = scale_inputs(node, weight, factors)
        base = f"{old.name or node.name}_smoothed"
        node.replace_input_with(1, add_constant(graph, names, base, scaled))
