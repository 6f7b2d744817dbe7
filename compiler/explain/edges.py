"""Conversions at the edges of a layer: what float there would need, and what it would save."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import onnx_ir as ir

from octavo.passes.join_float_layers import QUANTIZERS, VIEWS
from octavo.passes.wiring import is_op


@dataclass(frozen=True)
class Edges:
    """Conversions of a layer that integers surround, by the names of their nodes.

    Attributes:
        needed: They turn integers of other layers into float for it, and its results into
            integers for others, if it alone computes in float.
        saved: They bring float values to it, or its results to float: it would not need them.
    """

    needed: tuple[str, ...]
    saved: tuple[str, ...]


def edges_of(graph: ir.Graph, nodes: Collection[str], float_nodes: Collection[str]) -> Edges:
    """Find the conversions of a layer.

    Args:
        graph: Of the quantized model.
        nodes: Names of the layer's nodes.
        float_nodes: Names of the nodes that are computed in float already.
    """
    needed: dict[str, None] = {}
    saved: dict[str, None] = {}
    for node in graph:
        if node.name not in nodes or is_op(node, *QUANTIZERS):
            continue
        for dequantize in _dequantizers_before(node):
            source = _float_source(dequantize)
            if source is not None and _is_float(source, float_nodes):
                readers = {n.name for n in _readers(source.outputs[0])}
                if readers <= set(nodes):
                    saved[source.name or ""] = None
            elif source is None or not _is_computed_by(source.inputs[0], nodes):
                needed[dequantize.name or ""] = None
        for quantize in _quantizers_behind(node):
            others = [n for n in _readers(quantize.outputs[0]) if n.name not in nodes]
            is_float = [n.name in float_nodes for n in others]
            if not all(is_float) or quantize.outputs[0].is_graph_output():
                needed[quantize.name or ""] = None
            elif others or _leaves(quantize.outputs[0]):
                for dequantize in _dequantizers_of(quantize.outputs[0]):
                    saved[dequantize.name or ""] = None
    by_name = {node.name: node for node in graph}
    for name in tuple(needed):
        needed.update(dict.fromkeys(_beyond_views(by_name[name])))
    return Edges(tuple(needed), tuple(saved))


def _beyond_views(conversion: ir.Node) -> Iterator[str]:
    """Conversions of the same numbers: which one becomes a step is lowering's choice."""
    if is_op(conversion, "QuantizeLinear"):
        for dequantize in _dequantizers_of(conversion.outputs[0]):
            for other in _quantizers_behind(dequantize):
                yield other.name or ""
                yield from _beyond_views(other)
        return
    source = _float_source(conversion)
    for other in () if source is None else _dequantizers_before(source):
        yield other.name or ""
        yield from _beyond_views(other)


def _dequantizers_before(node: ir.Node) -> Iterator[ir.Node]:
    for value in node.inputs:
        producer = None if value is None else value.producer()
        while producer is not None and is_op(producer, *VIEWS):
            source = producer.inputs[0]
            producer = None if source is None else source.producer()
        if producer is not None and is_op(producer, "DequantizeLinear"):
            stored = producer.inputs[0]
            if stored is not None and stored.const_value is None:
                yield producer


def _float_source(dequantize: ir.Node) -> ir.Node | None:
    """The QuantizeLinear that made the integers; None where they are the model's input."""
    value = dequantize.inputs[0]
    producer = None if value is None else value.producer()
    return producer if producer is not None and is_op(producer, "QuantizeLinear") else None


def _is_float(quantize: ir.Node, float_nodes: Collection[str]) -> bool:
    """Whether a QuantizeLinear reads what is float in the artifact already."""
    value = quantize.inputs[0]
    producer = None if value is None else value.producer()
    while producer is not None and is_op(producer, *VIEWS):
        value = producer.inputs[0]
        producer = None if value is None else value.producer()
    return producer is None or producer.name in float_nodes


def _is_computed_by(value: ir.Value | None, nodes: Collection[str]) -> bool:
    producer = None if value is None else value.producer()
    return producer is not None and producer.name in nodes


def _quantizers_behind(node: ir.Node) -> Iterator[ir.Node]:
    for value in node.outputs:
        for use in value.uses():
            if is_op(use.node, "QuantizeLinear"):
                yield use.node
            elif is_op(use.node, *VIEWS):
                yield from _quantizers_behind(use.node)


def _dequantizers_of(value: ir.Value) -> Iterator[ir.Node]:
    for use in value.uses():
        if is_op(use.node, "DequantizeLinear"):
            yield use.node


def _leaves(value: ir.Value) -> bool:
    """Whether the real numbers behind integers are an output of the model."""
    return any(d.outputs[0].is_graph_output() for d in _dequantizers_of(value))


def _readers(value: ir.Value) -> Iterator[ir.Node]:
    """Nodes that compute with the real numbers behind integers."""
    for use in value.uses():
        if is_op(use.node, "DequantizeLinear", *VIEWS):
            for output in use.node.outputs:
                yield from _readers(output)
        else:
            yield use.node
