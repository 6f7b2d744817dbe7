"""Scale attention scores behind their product: MatMul(q * c, k) -> MatMul(q, k) * c.

Exporters scale the query, or query and key by the root each. Behind the product a number is
part of what rounds nothing; in front of it, it would be a tensor of its own to round.
"""

from math import prod

import numpy as np
import onnx_ir as ir

from octavo.passes.attention import match_attention, score_factor
from octavo.passes.constants import NameSource, add_constant
from octavo.passes.wiring import is_op, only_consumer


class MoveScoreScale(ir.passes.InPlacePass):
    """Move numbers from the operands of every attention to its scores."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        products = [node for node in graph if is_op(node, "MatMul")]
        moved = [node for node in products if _move(graph, names, node)]
        return ir.passes.PassResult(model, modified=bool(moved))


def _move(graph: ir.Graph, names: NameSource, product: ir.Node) -> bool:
    if match_attention(product) is None:
        return False
    factors = []
    for position in (0, 1):
        value = product.inputs[position]
        scaling = value.producer() if value is not None else None
        if value is None or scaling is None or only_consumer(value) is not product:
            continue
        for source in scaling.inputs:
            number = score_factor(scaling, source) if source is not None else None
            if source is not None and number is not None and number > 0.0:
                product.replace_input_with(position, source)
                factors.append(number)
                break
    if factors:
        _scale_output(graph, names, product, prod(factors))
    return bool(factors)


def _scale_output(
    graph: ir.Graph, names: NameSource, product: ir.Node, factor: float
) -> None:
    scores = product.outputs[0]
    number = add_constant(
        graph, names, f"{product.name}_score_scale", np.array(factor, np.float32)
    )
    readers = list(scores.uses())
    scaling = ir.node("Mul", [scores, number], name=names.fresh(f"{product.name}_scaled"))
    scaled = scaling.outputs[0]
    scaled.name = names.fresh(f"{scores.name}_scaled")
    scaled.type, scaled.shape = scores.type, scores.shape
    graph.insert_after(product, scaling)
    for use in readers:
        use.node.replace_input_with(use.idx, scaled)
