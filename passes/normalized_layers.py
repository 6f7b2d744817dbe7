"""Find normalized tensors that linear layers read, for passes that scale their channels."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import float_constant
from octavo.passes.linear_layers import linear_weight, output_axis
from octavo.passes.wiring import int_attribute, is_float, is_op, static_shape


@dataclass(frozen=True, eq=False)
class NormalizedLayers:
    """A normalization and the linear layers that read it.

    Attributes:
        norm: The LayerNormalization, along the last dimension, with constant parameters.
        layers: Gemm and MatMul with a constant weight, in graph order.
        only_layers: Nothing else reads it.
    """

    norm: ir.Node
    layers: tuple[ir.Node, ...]
    only_layers: bool

    @property
    def tensor(self) -> ir.Value:
        """What the normalization makes."""
        return self.norm.outputs[0]

    def stacked_weights(self) -> NDArray[np.float64]:
        """The weights of all layers side by side, (channels, outputs)."""
        matrices = []
        for node in self.layers:
            weight = linear_weight(node)
            if weight is None:
                raise ValueError(f"{node.name!r} lost its weight")
            matrices.append(weight if output_axis(node) == 1 else weight.T)
        return np.concatenate(matrices, axis=1).astype(np.float64)


def find_normalized_layers(graph: ir.Graph) -> list[NormalizedLayers]:
    """Every normalization that a linear layer reads, in graph order."""
    candidates = (_examine(node) for node in graph if is_op(node, "LayerNormalization"))
    return [found for found in candidates if found is not None]


def parameter_row(value: ir.Value, size: int) -> NDArray[np.float32] | None:
    """A constant scale or bias of a normalization as (size,), or None."""
    array = float_constant(value)
    if array is None or array.size not in (1, size):
        return None
    return np.broadcast_to(array.reshape(-1), (size,))


def _examine(norm: ir.Node) -> NormalizedLayers | None:
    output, shape = norm.outputs[0], static_shape(norm.outputs[0])
    if not shape or not is_float(output) or len(norm.outputs) > 1:
        return None
    if int_attribute(norm, "axis", -1) not in (-1, len(shape) - 1):
        return None
    parameters = norm.inputs[1:3]
    if any(v is not None and parameter_row(v, shape[-1]) is None for v in parameters):
        return None
    uses = list(output.uses())
    # The same tensor on both sides of a product would be scaled twice.
    layers = dict.fromkeys(use.node for use in uses if use.idx == 0 and _is_layer(use.node))
    read = sum(use.node in layers for use in uses)
    if not layers or read != len(layers):
        return None
    only_layers = read == len(uses) and not output.is_graph_output()
    return NormalizedLayers(norm, tuple(layers), only_layers)


def _is_layer(node: ir.Node) -> bool:
    if not is_op(node, "Gemm", "MatMul") or int_attribute(node, "transA", 0):
        return False
    return linear_weight(node) is not None
