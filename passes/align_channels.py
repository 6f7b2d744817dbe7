"""Give all channels of a normalized tensor one range, so that one scale fits every channel.

``LayerNormalization(x; g, b) -> MatMul(W) -> Add(c)`` ->
``LayerNormalization(x; g / r, (b + t) / r) -> MatMul(r W) -> Add(c - t W)`` with r_j = s_j / s
and t_j = s_j (z_j - z): s_j and z_j are scale and zero point of channel j by itself, s and z
their means. Exact in float. Quantizing the result with one scale is quantizing the tensor that
was there with a scale and a zero point for each channel.

Source: Li et al., RepQ-ViT, 2023, section 3.2, equations 7 to 10; Ranjan and Savakis,
LRP-QViT, 2024, section 3.3, where the ranges of the channels are clipped.
"""

from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.channel_noise import ChannelStatistics
from octavo.passes.constants import NameSource, add_constant
from octavo.passes.linear_layers import linear_bias, linear_weight, output_axis, scale_inputs
from octavo.passes.normalized_layers import (
    NormalizedLayers,
    find_normalized_layers,
    parameter_row,
)
from octavo.passes.wiring import float_attribute, is_op, only_consumer, static_shape

# Of a channel over the mean: nearly constant ones are not blown up.
SMALLEST_WIDTH = 1.0 / 64.0
NO_WIDTH = 1e-30  # mean of all channels: below it, there is nothing to align

_DONE = "aligned"


class AlignChannels(ir.passes.InPlacePass):
    """Align every normalized tensor that linear layers alone read."""

    def __init__(self, statistics: Mapping[str, ChannelStatistics]) -> None:
        """Take what calibration measured.

        Args:
            statistics: Of the tensors that ``alignable_tensors`` names; others are left.
        """
        super().__init__()
        self.statistics = dict(statistics)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        modified = False
        for found in _alignable(graph):
            statistics = self.statistics.get(found.tensor.name or "")
            if statistics is None or not (statistics.high > statistics.low).any():
                continue
            ratio, shift = _ratio_and_shift(statistics)
            _change_norm(graph, names, found.norm, ratio, shift)
            for layer in found.layers:
                _change_layer(graph, names, layer, ratio, shift)
            found.norm.meta[_DONE] = True
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def alignable_tensors(graph: ir.Graph, excluded: Collection[ir.Node] = ()) -> list[ir.Value]:
    """The tensors whose statistics ``AlignChannels`` wants, in graph order.

    Args:
        graph: Prepared float graph.
        excluded: Layers for which it is not worth it, such as those kept in float.
    """
    kept = set(excluded)
    return [found.tensor for found in _alignable(graph) if not kept.issuperset(found.layers)]


def _alignable(graph: ir.Graph) -> list[NormalizedLayers]:
    return [
        found
        for found in find_normalized_layers(graph)
        if found.only_layers and _DONE not in found.norm.meta
        if all(_takes_shift(layer) for layer in found.layers)
    ]


def _takes_shift(layer: ir.Node) -> bool:
    """Whether a constant can be added to what a layer computes."""
    if is_op(layer, "MatMul"):
        return True
    weight = linear_weight(layer)
    unit = float_attribute(layer, "alpha", 1.0) == 1.0 == float_attribute(layer, "beta", 1.0)
    return unit and weight is not None and linear_bias(layer, weight) is not None


def _ratio_and_shift(
    statistics: ChannelStatistics,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # The number of steps cancels: ranges serve for scales, and low ends over them for -z_j.
    width = statistics.high - statistics.low
    if width.mean() < NO_WIDTH:  # the same value everywhere: nothing to align
        return np.ones_like(width), np.zeros_like(width)
    width = np.maximum(width, SMALLEST_WIDTH * width.mean())
    zero_point = -statistics.low / width
    return width / width.mean(), width * (zero_point - zero_point.mean())


def _change_norm(
    graph: ir.Graph,
    names: NameSource,
    norm: ir.Node,
    ratio: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> None:
    if len(norm.inputs) < 3:
        norm.resize_inputs(3)
    rows = [
        parameter_row(value, ratio.size) if value is not None else np.zeros(ratio.size)
        for value in norm.inputs[1:3]
    ]
    assert rows[0] is not None
    assert rows[1] is not None
    base = norm.name or "normalized"
    for position, row in ((1, rows[0] / ratio), (2, (rows[1] + shift) / ratio)):
        what = "scale" if position == 1 else "bias"
        value = add_constant(graph, names, f"{base}_aligned_{what}", row.astype(np.float32))
        norm.replace_input_with(position, value)


def _change_layer(
    graph: ir.Graph,
    names: NameSource,
    layer: ir.Node,
    ratio: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> None:
    weight = linear_weight(layer)
    if weight is None:
        raise ValueError(f"{layer.name!r} lost its weight")
    matrix = weight if output_axis(layer) == 1 else weight.T
    offset = -(shift @ matrix.astype(np.float64))
    base = layer.name or layer.op_type
    scaled = scale_inputs(layer, weight, ratio)
    layer.replace_input_with(1, add_constant(graph, names, f"{base}_aligned", scaled))
    if is_op(layer, "Gemm"):
        bias = linear_bias(layer, weight)
        assert bias is not None
        if len(layer.inputs) < 3:
            layer.resize_inputs(3)
        moved = add_constant(graph, names, f"{base}_bias", (bias + offset).astype(np.float32))
        layer.replace_input_with(2, moved)
    else:
        _add_behind(graph, names, layer, offset)


def _add_behind(
    graph: ir.Graph, names: NameSource, layer: ir.Node, offset: NDArray[np.float64]
) -> None:
    """Into the constant that is added to the product, or into an Add of its own."""
    output, base = layer.outputs[0], layer.name or "product"
    reader = only_consumer(output)
    if reader is not None and is_op(reader, "Add"):
        position = 1 if reader.inputs[0] is output else 0
        other = reader.inputs[position]
        row = parameter_row(other, offset.size) if other is not None else None
        # Along outputs: a column has as many numbers when there are as many rows.
        along_outputs = (static_shape(other) or (1,))[-1] == offset.size
        if row is not None and along_outputs:
            moved = add_constant(
                graph, names, f"{base}_bias", (row + offset).astype(np.float32)
            )
            reader.replace_input_with(position, moved)
            return
    constant = add_constant(graph, names, f"{base}_bias", offset.astype(np.float32))
    added = ir.node("Add", [output, constant], name=names.fresh(f"{base}_add"))
    result, name = added.outputs[0], output.name
    result.type, result.shape = output.type, output.shape
    output.replace_all_uses_with(result, replace_graph_outputs=True)
    added.replace_input_with(0, output)
    output.name = names.fresh(f"{name}_product")
    result.name = name
    graph.insert_after(layer, added)
