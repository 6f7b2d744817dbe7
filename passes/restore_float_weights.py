"""Give layers that are computed in float the weights that they had before quantization."""

from collections.abc import Collection

import onnx_ir as ir

from octavo.passes.constants import NameSource, add_constant, float_constant
from octavo.passes.wiring import is_op


class RestoreFloatWeights(ir.passes.InPlacePass):
    """Replaces ``DequantizeLinear(constant)`` in front of some nodes by the float constant.

    Attributes:
        float_model: What was quantized: its nodes have the names of the quantized model's.
        nodes: Names of the nodes that get their constants back.
    """

    def __init__(self, float_model: ir.Model, nodes: Collection[str]) -> None:
        super().__init__()
        self.float_model = float_model
        self.nodes = frozenset(nodes)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replace; what nothing reads any more stays."""
        names = NameSource(model.graph)
        originals = {node.name: node for node in self.float_model.graph}
        restored: dict[ir.Value, ir.Value] = {}
        modified = False
        for node in model.graph:
            original = originals.get(node.name) if node.name in self.nodes else None
            if original is None or original.op_type != node.op_type:
                continue
            for index, source in enumerate(original.inputs[: len(node.inputs)]):
                array = float_constant(source)
                stored = node.inputs[index]
                if source is None or array is None or not _is_stored(stored):
                    continue
                if source not in restored:
                    name = source.name or "weight"
                    restored[source] = add_constant(model.graph, names, name, array)
                node.replace_input_with(index, restored[source])
                modified = True
        return ir.passes.PassResult(model, modified)


def _is_stored(value: ir.Value | None) -> bool:
    """Whether a value is an integer constant, dequantized."""
    node = value.producer() if value is not None else None
    if node is None or not is_op(node, "DequantizeLinear"):
        return False
    return node.inputs[0] is not None and node.inputs[0].const_value is not None
