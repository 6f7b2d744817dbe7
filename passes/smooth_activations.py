"""Move outlier channels of a normalized tensor into the weights that multiply it.

``LayerNormalization(x; g, b) -> MatMul(W)`` -> ``LayerNormalization(x; g/f, b/f) ->
MatMul(f W)``. When something else reads the tensor too, such as a residual sum,
``LayerNormalization -> Mul(1/f) -> MatMul(f W)``. Exact in float32; what changes is that a few
channels no longer set the scale of all the others.

Source: Xiao et al. 2023, "SmoothQuant"; the factors are those of ``channel_noise``.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.channel_noise import (
    ChannelStatistics,
    FormatOf,
    eight_bits,
    smoothing_factors,
)
from octavo.passes.constants import NameSource, add_constant
from octavo.passes.layer_format import LayerFormat
from octavo.passes.linear_layers import linear_weight, scale_inputs
from octavo.passes.normalized_layers import (
    NormalizedLayers,
    find_normalized_layers,
    parameter_row,
)

MIN_GAIN_DB = 1.0  # half a decibel is within what other samples would change
MIN_GAIN_WITH_MUL_DB = 3.0  # half a bit; the multiplication reads and writes the tensor once

_DONE = "smoothed"


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
        format_of: FormatOf = eight_bits,
    ) -> None:
        """Take what calibration measured.

        Args:
            statistics: Of the tensors that ``smoothable_tensors`` names; others are left.
            float_tensors: Normalized tensors that float readers see before they are rounded:
                a Mul can be inserted behind these, others with such readers are left alone.
            format_of: Widths of each layer.
        """
        super().__init__()
        self.statistics = dict(statistics)
        self.float_tensors = frozenset(float_tensors)
        self.format_of = format_of
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
            widths = _widths([self.format_of(layer) for layer in found.layers])
            factors, gain_db = smoothing_factors(statistics, found.stacked_weights(), widths)
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


def _widths(formats: Sequence[LayerFormat]) -> LayerFormat:
    """Of layers that read one tensor: it is as wide as the widest asks for."""
    return LayerFormat(
        min(layer.weight_bits for layer in formats),
        max(layer.activation_bits for layer in formats),
    )


def _find(graph: ir.Graph) -> list[NormalizedLayers]:
    return [f for f in find_normalized_layers(graph) if _DONE not in f.norm.meta]


def _divide_norm(
    graph: ir.Graph, names: NameSource, norm: ir.Node, factors: NDArray[np.float64]
) -> None:
    for position, value in enumerate(norm.inputs[1:3], start=1):
        row = parameter_row(value, factors.size) if value is not None else None
        if row is not None and value is not None:
            divided = (row / factors).astype(np.float32)
            base = f"{value.name or norm.name}_smoothed"
            norm.replace_input_with(position, add_constant(graph, names, base, divided))
    norm.meta[_DONE] = True


def _insert_mul(
    graph: ir.Graph, names: NameSource, found: NormalizedLayers, factors: NDArray[np.float64]
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
