"""Fold BatchNormalization into the linear layer behind it, where padding does not forbid it.

``Conv(BatchNormalization(x), W, b)`` -> ``Conv(x, W[:, i] g[i], b + sum_i W[:, i] shift[i])``.
A padded convolution sees zeros, not shift[i], outside the image; it is left alone.
"""

import numpy as np
import onnx_ir as ir

from octavo.passes.constants import NameSource, add_constant
from octavo.passes.fold_batch_norm import batch_norm_affine
from octavo.passes.linear_layers import input_sums, linear_bias, linear_weight, scale_inputs
from octavo.passes.wiring import ints_attribute, is_op, only_consumer, string_attribute


class FoldLeadingBatchNorm(ir.passes.InPlacePass):
    """Fold each BatchNormalization that only an unpadded Conv or a Gemm reads."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        nodes = [node for node in graph if is_op(node, "BatchNormalization")]
        folded = [node for node in nodes if _fold(graph, names, node)]
        return ir.passes.PassResult(model, modified=bool(folded))


def _fold(graph: ir.Graph, names: NameSource, node: ir.Node) -> bool:
    layer = only_consumer(node.outputs[0])
    affine = batch_norm_affine(node)
    if layer is None or affine is None or layer.inputs[0] is not node.outputs[0]:
        return False
    if not is_op(layer, "Conv", "Gemm") or _is_padded(layer):
        return False
    weight = linear_weight(layer)
    bias = linear_bias(layer, weight) if weight is not None else None
    if weight is None or bias is None:
        return False
    factor, shift = affine
    new_weight = scale_inputs(layer, weight, factor)
    new_bias = (bias + input_sums(layer, weight, shift)).astype(np.float32)
    base = layer.name or layer.op_type
    layer.replace_input_with(0, node.inputs[0])
    layer.replace_input_with(1, add_constant(graph, names, f"{base}_weight", new_weight))
    if len(layer.inputs) < 3:
        layer.resize_inputs(3)
    layer.replace_input_with(2, add_constant(graph, names, f"{base}_bias", new_bias))
    graph.remove(node, safe=True)
    return True


def _is_padded(layer: ir.Node) -> bool:
    automatic = string_attribute(layer, "auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    return automatic or any(ints_attribute(layer, "pads") or ())
