"""Write down in a model that layers multiply bfloat16 numbers, to run it elsewhere.

``Conv(x, w, b)`` -> ``Conv(Cast(Cast(x)), Cast(Cast(w)), b)``, to BFLOAT16 and back.

Sums are float32 on both sides, in another order: what is measured is the rounding of operands.
"""

from collections.abc import Collection

import onnx_ir as ir

from octavo.passes.constants import NameSource
from octavo.passes.wiring import is_op

DENSE_OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class RoundToBfloat16(ir.passes.InPlacePass):
    """Round the first two inputs of some nodes."""

    def __init__(self, nodes: Collection[str]) -> None:
        """Choose what to round.

        Args:
            nodes: Names of Conv, ConvTranspose, Gemm and MatMul nodes.
        """
        self.nodes = frozenset(nodes)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        chosen = [
            node for node in graph
            if node.name in self.nodes and is_op(node, *DENSE_OPERATORS)
        ]
        for node in chosen:
            for index in range(2):
                _round_input(graph, names, node, index)
        return ir.passes.PassResult(model, modified=bool(chosen))


def _round_input(graph: ir.Graph, names: NameSource, node: ir.Node, index: int) -> None:
    value = node.inputs[index]
    if value is None:
        return
    for dtype, word in ((ir.DataType.BFLOAT16, "bfloat16"), (ir.DataType.FLOAT, "rounded")):
        name = names.fresh(f"{node.name}_{index}_{word}")
        cast = ir.node("Cast", [value], {"to": int(dtype)}, name=name)
        result = cast.outputs[0]
        result.name, result.type, result.shape = name, ir.TensorType(dtype), value.shape
        graph.insert_before(node, cast)
        value = result
    node.replace_input_with(index, value)
