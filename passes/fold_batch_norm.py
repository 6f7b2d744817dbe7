"""Fold BatchNormalization into the linear layer in front of it.

``BatchNormalization(Conv(x, W, b))`` -> ``Conv(x, W * g, (b - mean) * g + beta)`` with
g = gamma / sqrt(variance + epsilon), and the same for ConvTranspose and Gemm.

Source: Krishnamoorthi 2018, 3.2.2; Jacob et al. 2018, equation 14.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import NameSource, add_constant, float_constant
from octavo.passes.linear_layers import linear_bias, linear_weight, scale_outputs
from octavo.passes.wiring import (
    bypass,
    float_attribute,
    int_attribute,
    is_op,
    only_consumer,
    produced_by,
)


class FoldBatchNorm(ir.passes.InPlacePass):
    """Fold each BatchNormalization that alone reads a Conv, ConvTranspose or Gemm."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        # Collected first: folding one changes what its neighbours look like.
        nodes = [node for node in graph if is_op(node, "BatchNormalization")]
        folded = [node for node in nodes if _fold(graph, names, node)]
        return ir.passes.PassResult(model, modified=bool(folded))


def batch_norm_affine(
    node: ir.Node,
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """``(g, shift)`` with which an inference BatchNormalization is x * g + shift, each (C,).

    None when a statistic is not a constant or the node is in training mode.
    """
    if int_attribute(node, "training_mode", 0) or len(node.outputs) > 1:
        return None
    arrays = [float_constant(value) for value in node.inputs[1:5]]
    gamma, beta, mean, variance = arrays
    if gamma is None or beta is None or mean is None or variance is None:
        return None
    epsilon = float_attribute(node, "epsilon", 1e-5)
    factor = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    return factor, beta.astype(np.float64) - mean.astype(np.float64) * factor


def rescale_layer(
    graph: ir.Graph,
    names: NameSource,
    layer: ir.Node,
    factor: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> bool:
    """Change a linear layer's constants so that it computes factor * y + shift; each (C,).

    Returns:
        False when its weight or bias is not a constant; nothing is changed then.
    """
    weight = linear_weight(layer)
    bias = linear_bias(layer, weight) if weight is not None else None
    if weight is None or bias is None:
        return False
    new_weight = scale_outputs(layer, weight, factor)
    new_bias = (bias.astype(np.float64) * factor + shift).astype(np.float32)
    # New initializers: another layer may share the old ones.
    base = layer.name or layer.op_type
    layer.replace_input_with(1, add_constant(graph, names, f"{base}_weight", new_weight))
    if len(layer.inputs) < 3:
        layer.resize_inputs(3)
    layer.replace_input_with(2, add_constant(graph, names, f"{base}_bias", new_bias))
    return True


def _fold(graph: ir.Graph, names: NameSource, node: ir.Node) -> bool:
    layer = produced_by(node.inputs[0], "Conv", "ConvTranspose", "Gemm")
    affine = batch_norm_affine(node)
    if layer is None or affine is None or only_consumer(layer.outputs[0]) is not node:
        return False
    if not rescale_layer(graph, names, layer, *affine):
        return False
    bypass(graph, node, layer.outputs[0])
    return True
