"""What can be chosen for: the layers of a QDQ model, and the integers between them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from octavo.compiler.lowering.matching import match_integer_regions
from octavo.compiler.lowering.qdq_graph import shape_of
from octavo.compiler.lowering.view import NO_WORDS, QdqView
from octavo.passes.join_float_layers import QUANTIZERS, VIEWS
from octavo.passes.wiring import is_op


@dataclass(frozen=True)
class Layer:
    """Nodes that one integer kernel computes, or that are computed in float together.

    Attributes:
        name: Of its first node; unique.
        op_types: Operators, without quantizers.
        nodes: Their names.
    """

    name: str
    op_types: tuple[str, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class IntegerTensor:
    """Integers that a quantizer makes of what one layer computed, for others to read.

    Attributes:
        name: Of the integer value.
        num_elements: Size.
        writer: The layer; None where it is made of a float value that nothing here decides on.
        readers: Layers that read it.
        has_float_reader: Something reads it as float whatever is chosen.
    """

    name: str
    num_elements: int
    writer: str | None
    readers: tuple[str, ...]
    has_float_reader: bool = False


@dataclass(frozen=True)
class LayerGraph:
    """Layers of a model and how they are connected.

    Attributes:
        layers: In graph order.
        tensors: What converts where its ends are computed differently.
        tensor_of: Name of the integer tensor by the node that quantizes it, dequantizes it, or
            only views it dequantized.
    """

    layers: tuple[Layer, ...]
    tensors: tuple[IntegerTensor, ...]
    tensor_of: Mapping[str, str]

    @property
    def layer_of(self) -> dict[str, str]:
        """Name of the layer by the name of its node."""
        return {node: layer.name for layer in self.layers for node in layer.nodes}


def find_layers(model: ir.Model, no_words: str = NO_WORDS) -> LayerGraph:
    """Read a QDQ model.

    Args:
        model: With static shapes and unique names; not changed.
        no_words: Why activations of 16 bits are computed in float, or "".
    """
    graph = model.graph
    view = QdqView(graph, {}, no_words=no_words)
    regions = match_integer_regions(graph, view).values()
    layers, layer_of = [], {}
    for region in regions:
        nodes = [node for node in region.nodes if not is_op(node, *QUANTIZERS)]
        if not nodes:
            continue
        names = tuple(node.name or "" for node in nodes)
        layer = Layer(names[0], tuple(node.op_type for node in nodes), names)
        layers.append(layer)
        layer_of.update(dict.fromkeys(nodes, layer.name))
    inside = {q for region in regions for q in region.nodes if len(region.nodes) > 1}
    return LayerGraph(
        tuple(layers),
        tuple(_tensors(graph, layer_of, inside)),
        dict(_tensor_names(graph)),
    )


def _tensors(
    graph: ir.Graph, layer_of: Mapping[ir.Node, str], inside: set[ir.Node]
) -> Iterator[IntegerTensor]:
    for node in graph:
        if not is_op(node, "QuantizeLinear") or node.inputs[0] is None:
            continue
        if node.inputs[0].const_value is not None or _dequantized(node) is not None:
            continue  # a constant, or integers that are rounded once more
        value = node.outputs[0]
        writer = _writer(node.inputs[0], layer_of)
        found = list(_readers(value))
        known = [n for n in found if n is not None]
        readers = dict.fromkeys(layer_of[n] for n in known if n in layer_of)
        # Rounding within a layer, such as that in front of a table.
        if node in inside and set(readers) == {writer}:
            continue
        is_output = value.is_graph_output() or len(known) < len(found)
        others = any(n not in layer_of for n in known)
        yield IntegerTensor(
            value.name or "",
            _size(value),
            writer,
            tuple(readers),
            others or is_output,
        )


def _writer(value: ir.Value, layer_of: Mapping[ir.Node, str]) -> str | None:
    node = value.producer()
    while node is not None and node not in layer_of and is_op(node, *VIEWS):
        source = node.inputs[0]
        node = None if source is None else source.producer()
    return None if node is None else layer_of.get(node)


def _readers(value: ir.Value) -> Iterator[ir.Node | None]:
    """Nodes that compute with the real numbers behind integers; None for a model output."""
    for use in value.uses():
        if is_op(use.node, "DequantizeLinear"):
            yield from _float_readers(use.node.outputs[0])
        else:
            yield use.node


def _float_readers(value: ir.Value) -> Iterator[ir.Node | None]:
    if value.is_graph_output():
        yield None
    for use in value.uses():
        if is_op(use.node, *VIEWS):
            for output in use.node.outputs:
                yield from _float_readers(output)
        elif is_op(use.node, "QuantizeLinear"):
            # The same integers again, or others: what reads those reads these.
            yield from _readers(use.node.outputs[0])
        else:
            yield use.node


def _tensor_names(graph: ir.Graph) -> Iterator[tuple[str, str]]:
    for node in graph:
        if is_op(node, *QUANTIZERS, *VIEWS):
            source = _dequantized(node)
            if source is not None:
                yield node.name or "", source
            elif is_op(node, "QuantizeLinear"):
                yield node.name or "", node.outputs[0].name or ""


def _dequantized(node: ir.Node) -> str | None:
    """Name of the first integers whose real numbers come to a node as they are, or None."""
    found = None
    while (source := node.inputs[0]) is not None and source.const_value is None:
        if is_op(node, "DequantizeLinear"):
            found = source.name
        producer = source.producer()
        if producer is None or not is_op(producer, *QUANTIZERS, *VIEWS):
            return found
        node = producer
    return None


def _size(value: ir.Value) -> int:
    size = 1
    for extent in shape_of(value):
        size *= extent
    return size
