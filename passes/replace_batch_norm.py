"""Express BatchNormalization that could not be folded by operators with integer kernels.

``BatchNormalization(x)`` -> ``Conv(x, diag)`` as a depthwise 1x1 convolution when x is
(N, C, length) or (N, C, height, width); -> ``Add(Mul(x, g), shift)`` when x is (N, C).
"""

import numpy as np
import onnx_ir as ir

from octavo.passes.constants import NameSource, add_constant
from octavo.passes.fold_batch_norm import batch_norm_affine
from octavo.passes.wiring import is_op, replace_node, static_shape


class ReplaceBatchNorm(ir.passes.InPlacePass):
    """Replace every inference BatchNormalization of rank 2, 3 or 4."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        nodes = [node for node in graph if is_op(node, "BatchNormalization")]
        replaced = [node for node in nodes if _replace(graph, names, node)]
        return ir.passes.PassResult(model, modified=bool(replaced))


def _replace(graph: ir.Graph, names: NameSource, node: ir.Node) -> bool:
    affine, shape = batch_norm_affine(node), static_shape(node.inputs[0])
    if affine is None or shape is None or len(shape) not in (2, 3, 4):
        return False
    factor, shift = (array.astype(np.float32) for array in affine)
    base = node.name or "batch_norm"
    if len(shape) == 2:
        scale = add_constant(graph, names, f"{base}_scale", factor)
        offset = add_constant(graph, names, f"{base}_shift", shift)
        product = ir.node("Mul", [node.inputs[0], scale], name=names.fresh(f"{base}_scaled"))
        product.outputs[0].name = names.fresh(f"{node.outputs[0].name}_scaled")
        product.outputs[0].type = node.outputs[0].type
        product.outputs[0].shape = node.outputs[0].shape
        graph.insert_before(node, product)
        replace_node(graph, names, node, "Add", [product.outputs[0], offset])
        return True
    taps = (1,) * (len(shape) - 2)
    weight = factor.reshape(-1, 1, *taps)
    inputs = [
        node.inputs[0],
        add_constant(graph, names, f"{base}_weight", weight),
        add_constant(graph, names, f"{base}_bias", shift),
    ]
    attributes = {"group": int(factor.size), "kernel_shape": list(taps)}
    replace_node(graph, names, node, "Conv", inputs, attributes)
    return True
