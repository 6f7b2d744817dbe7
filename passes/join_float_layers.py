"""Take out the rounding between layers that are computed in float.

``float layer -> QuantizeLinear -> DequantizeLinear -> float layer`` rounds to 8 bits for
nothing: no integer kernel reads the integers. A layer that integers do feed, or that feeds
integers, keeps them on that side.
"""

from collections.abc import Collection

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from octavo.passes.constants import constant_array
from octavo.passes.wiring import is_op

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
# Their result is what they read, elsewhere: they compute in whatever type it has.
VIEWS = (
    "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice",
    "SpaceToDepth", "Split", "Squeeze", "Transpose", "Unsqueeze",
)  # fmt: skip


class JoinFloatLayers(InPlacePass):
    """Lets float layers read what float layers computed.

    Attributes:
        integer_nodes: Names of the nodes that integer kernels compute; every other one, but
            for quantizers and views, computes in float.
    """

    def __init__(self, integer_nodes: Collection[str]) -> None:
        super().__init__()
        self.integer_nodes = frozenset(integer_nodes)

    def call(self, model: ir.Model) -> PassResult:
        """Rewire readers; quantizers that nobody reads any more stay."""
        modified = False
        for node in model.graph:
            if is_op(node, "QuantizeLinear") and self._is_float(node.inputs[0]):
                modified |= self._join(model.graph, node)
        return PassResult(model, modified)

    def _join(self, graph: ir.Graph, quantize: ir.Node) -> bool:
        source, modified = quantize.inputs[0], False
        assert source is not None
        for use in quantize.outputs[0].uses():
            if not _is_inverse(use.node, quantize):
                continue
            rounded = use.node.outputs[0]
            for reader, index in rounded.uses():
                if self._reads_float(reader):
                    reader.replace_input_with(index, source)
                    modified = True
            if rounded.is_graph_output() and not source.is_graph_output():
                modified |= _replace_output(graph, rounded, source)
        return modified

    def _is_float(self, value: ir.Value | None) -> bool:
        """Whether a value was computed in float, rather than dequantized."""
        if value is None:
            return False
        node = value.producer()
        if node is None:
            return value.const_value is None
        if is_op(node, *VIEWS):
            return self._is_float(node.inputs[0])
        return not is_op(node, "DequantizeLinear") and node.name not in self.integer_nodes

    def _reads_float(self, node: ir.Node) -> bool:
        """Whether a node, or all that reads it if it is a view, has no use for integers."""
        if is_op(node, *VIEWS):
            readers = [use.node for output in node.outputs for use in output.uses()]
            return all(is_op(r, "QuantizeLinear") or self._reads_float(r) for r in readers)
        if is_op(node, *QUANTIZERS):
            return False
        return node.name not in self.integer_nodes


def _is_inverse(node: ir.Node, quantize: ir.Node) -> bool:
    if not is_op(node, "DequantizeLinear"):
        return False
    pairs = zip(node.inputs[1:], quantize.inputs[1:], strict=False)
    return len(node.inputs) == len(quantize.inputs) and all(_are_equal(*p) for p in pairs)


def _are_equal(left: ir.Value | None, right: ir.Value | None) -> bool:
    if left is right:
        return True
    if left is None or right is None:
        return False
    a, b = constant_array(left), constant_array(right)
    return a is not None and b is not None and a.shape == b.shape and bool((a == b).all())


def _replace_output(graph: ir.Graph, rounded: ir.Value, source: ir.Value) -> bool:
    """Let the model give the value before rounding, under the same name."""
    if source.is_graph_input():
        return False
    name = rounded.name
    for index, value in enumerate(graph.outputs):
        if value is rounded:
            graph.outputs[index] = source
    rounded.name, source.name = f"{name}_rounded", name
    return True
