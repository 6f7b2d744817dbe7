"""Write the weights of attention as its kernel rounds them.

``MatMul(Softmax(s), v)`` becomes ``MatMul(w, v) / ReduceSum(w)`` with
``w = DQ(Q(Exp(s - ReduceMax(s)), scale 1/255))``: every weight keeps 8 bits below the largest
of its row, and the sum of the rounded ones divides.
"""

from typing import Any

import numpy as np
import onnx_ir as ir

from octavo.passes.constants import NameSource, add_constant
from octavo.passes.wiring import static_shape

WEIGHT_SCALE = 1.0 / 255.0  # the largest weight is 1


def round_weights(
    graph: ir.Graph, names: NameSource, softmax: ir.Node, mix: ir.Node
) -> None:
    """Replace a Softmax and the division that it implies.

    Args:
        graph: The graph of both.
        names: Names of the graph.
        softmax: Over its last axis.
        mix: The MatMul that alone reads it, as its first operand.
    """
    writer = _Writer(graph, names, softmax)
    scores = softmax.inputs[0]
    axis = add_constant(graph, names, f"{writer.base}_axis", np.array([-1], np.int64))
    scale = add_constant(
        graph, names, f"{writer.base}_weight_scale", np.array(WEIGHT_SCALE, np.float32)
    )
    zero = add_constant(graph, names, f"{writer.base}_weight_zero", np.array(0, np.uint8))
    like, row = softmax.outputs[0], {"keepdims": 1}
    largest = writer.add("ReduceMax", [scores, axis], like, row, reduces=True)
    distance = writer.add("Sub", [scores, largest], like)
    power = writer.add("Exp", [distance], like)
    rounded = writer.add("QuantizeLinear", [power, scale, zero], like)
    rounded.dtype = ir.DataType.UINT8
    weights = writer.add("DequantizeLinear", [rounded, scale, zero], like)
    total = writer.add("ReduceSum", [weights, axis], like, row, reduces=True)
    _divide(graph, names, mix, total)
    mix.replace_input_with(0, weights)
    graph.remove(softmax, safe=True)


class _Writer:
    """Adds nodes behind each other in the place of one."""

    def __init__(self, graph: ir.Graph, names: NameSource, replaced: ir.Node) -> None:
        self.graph, self.names, self.after = graph, names, replaced
        self.base = replaced.name or "softmax"

    def add(
        self,
        op_type: str,
        inputs: list[ir.Value | None],
        like: ir.Value,
        attributes: dict[str, Any] | None = None,
        *,
        reduces: bool = False,
    ) -> ir.Value:
        """Add a node whose float output has the shape of ``like``, or one column of it."""
        name = self.names.fresh(f"{self.base}_{op_type}")
        node = ir.node(op_type, inputs, attributes or {}, name=name)
        output = node.outputs[0]
        output.name = self.names.fresh(f"{name}_out")
        shape = static_shape(like)
        if shape is not None:
            output.shape = ir.Shape([*shape[:-1], 1] if reduces else shape)
        output.dtype = ir.DataType.FLOAT
        self.graph.insert_after(self.after, node)
        self.after = node
        return output


def _divide(graph: ir.Graph, names: NameSource, mix: ir.Node, total: ir.Value) -> None:
    """Divide what ``mix`` makes; the quotient takes over its readers and its name."""
    mixed = mix.outputs[0]
    division = ir.node("Div", [mixed, total], name=names.fresh(f"{mix.name}_normalized"))
    quotient = division.outputs[0]
    quotient.type, quotient.shape = mixed.type, mixed.shape
    graph.insert_after(mix, division)
    mixed.replace_all_uses_with(quotient, replace_graph_outputs=True)
    division.replace_input_with(0, mixed)
    quotient.name, mixed.name = mixed.name, names.fresh(f"{mixed.name}_sum")
