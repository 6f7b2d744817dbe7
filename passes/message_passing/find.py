"""Find message passing in a graph: ``Gather -> ... -> ScatterElements -> [Div]``.

A region starts at its end: a scatter with a reduction, or a product with a constant sparse
matrix. From there the messages are traced back to the features that they are gathered from.
What is not understood stays as it is, with a reason.
"""

from dataclasses import replace

import onnx_ir as ir

from octavo.passes.message_passing.adjacency import Adjacency, indexed_adjacency
from octavo.passes.message_passing.coefficients import find_coefficients
from octavo.passes.message_passing.edge_trace import Gathered, reads_by, trace_edges
from octavo.passes.message_passing.linear_weights import (
    is_linear_layer,
    layers_before,
    layers_behind,
)
from octavo.passes.message_passing.mean import counts_edges, match_mean
from octavo.passes.message_passing.node_index import NodeIndex
from octavo.passes.message_passing.private_nodes import read_only_inside
from octavo.passes.message_passing.readout import find_reductions, segment_readout
from octavo.passes.message_passing.regions import GraphNetwork, MessagePassing, Readout
from octavo.passes.message_passing.segments import (
    Aggregation,
    Segments,
    is_reducing_scatter,
    match_segments,
)
from octavo.passes.message_passing.sparse_product import match_sparse_product
from octavo.passes.wiring import static_shape


def find_message_passing(graph: ir.Graph) -> tuple[MessagePassing, ...]:
    """Every message-passing region of a graph, see ``recognize``."""
    return recognize(graph).passings


def recognize(graph: ir.Graph) -> GraphNetwork:
    """Recognize message passing and readouts.

    Args:
        graph: Topologically sorted, static shapes, constants folded. Not changed.
    """
    order = {node: i for i, node in enumerate(graph)}
    scatters, reasons, degrees = _scatters(graph)
    passings = [p for p in map(_product, graph) if p is not None]
    gathering_nothing: list[Segments] = []
    claimed: set[ir.Node] = set()
    # From the end: attention has scatters of its own, which belong to the one that reads it.
    for segments in reversed(scatters):
        head = segments.nodes[-1]
        if head in claimed:
            continue
        found = _passing(segments, order)
        if found is None:
            gathering_nothing.append(segments)
        elif isinstance(found, str):
            reasons[head.name or ""] = found
        else:
            passings.append(found)
            claimed.update(found.nodes)
    ends = [index for passing in passings for index in _ends(passing)]
    readouts: list[Readout] = []
    for segments in gathering_nothing:
        if not any(segments.index.same_as(end) for end in ends):
            readouts.append(segment_readout(segments, match_mean(segments)))
            continue
        found = _passing(segments, order, from_attributes=True)
        if isinstance(found, MessagePassing):
            passings.append(found)
        elif found is not None:
            reasons[segments.nodes[-1].name or ""] = found
    readouts += find_reductions(passings, {readout.node for readout in readouts})
    return GraphNetwork(
        _with_output_layers(sorted(passings, key=lambda passing: order[passing.head])),
        tuple(sorted(readouts, key=lambda readout: order[readout.node])),
        degrees,
        reasons,
    )


def _scatters(
    graph: ir.Graph,
) -> tuple[list[Segments], dict[str, str], tuple[ir.Node, ...]]:
    """Scatters of messages, why others are not understood, and scatters that count edges."""
    found, reasons, degrees, prepares = [], {}, [], set[ir.Node]()
    for node in reversed(graph):
        if node in prepares or not is_reducing_scatter(node):
            continue
        segments = match_segments(node)
        if isinstance(segments, str):
            reasons[node.name or ""] = segments
            continue
        prepares.update(segments.base_nodes)
        if counts_edges(segments):
            degrees.append(node)
        else:
            found.append(segments)
    return found[::-1], reasons, tuple(degrees[::-1])


def _passing(
    segments: Segments, order: dict[ir.Node, int], *, from_attributes: bool = False
) -> MessagePassing | str | None:
    """The region of a scatter; why there is none; None if nothing is gathered."""
    values, axis, targets = segments.values, segments.axis, segments.index
    trace = trace_edges(values, axis, targets)
    if trace.problem is not None and trace.gathered:
        return trace.problem
    if not trace.gathered:
        if reads_by(values, targets):
            return trace.problem or "its messages are made of all gathered rows together"
        if not from_attributes:
            return None
        if trace.problem is not None:
            return trace.problem
    division = match_mean(segments)
    own = {*trace.nodes, *segments.nodes, *([division] if division is not None else ())}
    root = division or segments.nodes[-1]
    nodes = read_only_inside(own, root)
    trace = trace_edges(values, axis, targets, own - nodes)
    gathered = tuple(trace.gathered.values())
    adjacency = _adjacency(gathered, segments)
    if isinstance(adjacency, str):
        return adjacency
    coefficients = find_coefficients(values, axis, targets, trace, own - nodes)
    aggregation = Aggregation.MEAN if division is not None else segments.aggregation
    features = coefficients.features
    layers = layers_before(g.features for g in gathered)
    by_order = sorted(nodes, key=order.__getitem__)
    return MessagePassing(
        head=segments.nodes[-1],
        nodes=tuple(by_order),
        adjacency=adjacency,
        aggregation=aggregation,
        gathered=features,
        features=tuple(dict.fromkeys(g.features for g in features)),
        edge_attributes=coefficients.feature_attributes,
        shared=tuple(trace.shared),
        messages=values,
        coefficients=coefficients.value,
        coefficient_inputs=coefficients.inputs,
        coefficient_attributes=coefficients.attributes,
        softmax=coefficients.softmax,
        aggregated=root.outputs[0],
        node_axis=axis,
        fill=segments.fill,
        keeps_fill=segments.keeps_fill,
        feature_layers=layers,
        message_layers=tuple(node for node in by_order if is_linear_layer(node)),
        output_layers=(),
    )


def _product(node: ir.Node) -> MessagePassing | None:
    found = match_sparse_product(node)
    if found is None:
        return None
    adjacency, features = found
    shape = static_shape(node.outputs[0])
    if shape is None or len(shape) < 2:
        return None
    on_left = features is node.inputs[1]
    return MessagePassing(
        head=node,
        nodes=(node,),
        adjacency=adjacency,
        aggregation=Aggregation.ADD,
        gathered=(),
        features=(features,),
        edge_attributes=(),
        shared=(),
        messages=features,
        coefficients=adjacency.matrix,
        coefficient_inputs=(),
        coefficient_attributes=(),
        softmax=None,
        aggregated=node.outputs[0],
        node_axis=len(shape) - 2 if on_left else len(shape) - 1,
        fill=0.0,
        keeps_fill=False,
        feature_layers=layers_before([features]),
        message_layers=(),
        output_layers=(),
    )


def _adjacency(gathered: tuple[Gathered, ...], segments: Segments) -> Adjacency | str:
    sources: NodeIndex | None = None
    num_sources = 0
    for one in gathered:
        shape = static_shape(one.features)
        assert shape is not None  # match_gather refuses others
        if one.index.length != segments.index.length:
            return f"'{one.node.name}' gathers for other edges"
        if one.index.same_as(segments.index) and shape[one.axis] == segments.num_nodes:
            continue
        if sources is not None and not one.index.same_as(sources):
            return "its messages come from more than two nodes of an edge"
        if sources is not None and shape[one.axis] != num_sources:
            return "its messages are gathered from sets of nodes of different sizes"
        sources, num_sources = one.index, shape[one.axis]
    return indexed_adjacency(sources, segments.index, num_sources, segments.num_nodes)


def _ends(passing: MessagePassing) -> list[NodeIndex]:
    ends = (passing.adjacency.sources, passing.adjacency.targets)
    return [end for end in ends if end is not None]


def _with_output_layers(passings: list[MessagePassing]) -> tuple[MessagePassing, ...]:
    taken = {node for passing in passings for node in passing.feature_layers}
    return tuple(
        replace(passing, output_layers=layers_behind(passing.aggregated, taken))
        for passing in passings
    )
