"""Fold a constant factor or offset per channel into the linear layer in front of it.

``Mul(Conv(x, W, b), c)`` -> ``Conv(x, W * c, b * c)``; ``Add(Conv(x, W, b), c)`` ->
``Conv(x, W, b + c)``; the same for Div, Sub, ConvTranspose and Gemm. A MatMul takes factors
only: it has no bias input, and the Add behind it already is its bias.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import NameSource, add_constant, float_constant
from octavo.passes.fold_batch_norm import rescale_layer
from octavo.passes.linear_layers import (
    LINEAR_OP_TYPES,
    linear_weight,
    num_outputs,
    scale_outputs,
)
from octavo.passes.wiring import bypass, is_op, only_consumer, produced_by, static_shape


class FoldScaleShift(ir.passes.InPlacePass):
    """Fold Mul, Div, Add and Sub by constants into the layer whose only reader they are."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        nodes = [node for node in graph if is_op(node, "Mul", "Div", "Add", "Sub")]
        folded = [node for node in nodes if _fold(graph, names, node)]
        return ir.passes.PassResult(model, modified=bool(folded))


def _fold(graph: ir.Graph, names: NameSource, node: ir.Node) -> bool:
    for position in (0, 1):
        layer = produced_by(node.inputs[position], *LINEAR_OP_TYPES)
        constant = float_constant(node.inputs[1 - position])
        if layer is None or constant is None or only_consumer(layer.outputs[0]) is not node:
            continue
        if position == 1 and is_op(node, "Div"):  # c / y is not linear
            continue
        weight = linear_weight(layer)
        if weight is None:
            continue
        per_channel = _per_channel(layer, node, constant, num_outputs(layer, weight))
        if per_channel is None:
            continue
        factor, shift = _affine(node, per_channel, layer_is_second=position == 1)
        if not np.isfinite(factor).all():
            continue
        if not _apply(graph, names, layer, weight, factor, shift):
            continue
        bypass(graph, node, layer.outputs[0])
        return True
    return False


def _per_channel(
    layer: ir.Node, node: ir.Node, constant: NDArray[np.float32], count: int
) -> NDArray[np.float64] | None:
    shape = static_shape(layer.outputs[0])
    # A constant that broadcasts the layer's output to something larger cannot be folded.
    if shape is None or static_shape(node.outputs[0]) != shape:
        return None
    axis = 1 if is_op(layer, "Conv", "ConvTranspose") else len(shape) - 1
    padded = (1,) * (len(shape) - constant.ndim) + constant.shape
    if any(dim != 1 for i, dim in enumerate(padded) if i != axis):
        return None
    return np.broadcast_to(constant.reshape(-1).astype(np.float64), (count,))


def _affine(
    node: ir.Node, constant: NDArray[np.float64], *, layer_is_second: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ones, zeros = np.ones_like(constant), np.zeros_like(constant)
    if is_op(node, "Mul"):
        return constant, zeros
    if is_op(node, "Div"):
        with np.errstate(divide="ignore"):
            return 1.0 / constant, zeros
    if is_op(node, "Add"):
        return ones, constant
    return (-ones, constant) if layer_is_second else (ones, -constant)


def _apply(
    graph: ir.Graph,
    names: NameSource,
    layer: ir.Node,
    weight: NDArray[np.float32],
    factor: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> bool:
    if not is_op(layer, "MatMul"):
        return rescale_layer(graph, names, layer, factor, shift)
    if shift.any():
        return False
    base = layer.name or layer.op_type
    new_weight = scale_outputs(layer, weight, factor)
    layer.replace_input_with(1, add_constant(graph, names, f"{base}_weight", new_weight))
    return True
