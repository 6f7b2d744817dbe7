"""One line of text for each region of message passing."""

import onnx_ir as ir

from octavo.passes.message_passing.adjacency import Adjacency
from octavo.passes.message_passing.node_index import NodeIndex
from octavo.passes.message_passing.regions import GraphNetwork, MessagePassing, Readout


def region_lines(network: GraphNetwork) -> list[str]:
    """What was found, a line each: message passing, then readouts, then what was not.

    Args:
        network: From ``recognize``.
    """
    return [
        *map(passing_line, network.passings),
        *map(readout_line, network.readouts),
        *(f"{name}: left alone, {reason}" for name, reason in network.reasons.items()),
    ]


def passing_line(passing: MessagePassing) -> str:
    """``y = add(attention * f(h)): 12 edges edge_index[0] -> edge_index[1], 7 nodes``."""
    read = (*passing.edge_attributes, *passing.shared)
    operands = ", ".join(_name(value) for value in (*passing.features, *read))
    # A message that is more than one gathered row and its factor is some function of them.
    message = operands if len(passing.features) == 1 and not read else f"f({operands})"
    if passing.softmax is not None:
        message = f"attention * {message}"
    elif passing.coefficients is not None:
        message = f"{_name(passing.coefficients)} * {message}"
    kept = f", nodes without edges {passing.fill:g}" if passing.fill else ""
    aggregated = f"{_name(passing.aggregated)} = {passing.aggregation.value}({message})"
    return f"{aggregated}: {_adjacency_text(passing.adjacency)}{kept}"


def readout_line(readout: Readout) -> str:
    """``p = mean(h): 7 nodes to 2 graphs by batch``."""
    graphs = "1 graph" if readout.num_graphs == 1 else f"{readout.num_graphs} graphs"
    by = f" by {_index_text(readout.index)}" if readout.index is not None else ""
    text = f"{_name(readout.pooled)} = {readout.aggregation.value}({_name(readout.features)})"
    return f"{text}: all nodes to {graphs}{by}"


def _adjacency_text(adjacency: Adjacency) -> str:
    nodes = f"{adjacency.num_targets} nodes"
    if adjacency.num_sources not in (0, adjacency.num_targets):
        nodes = f"{adjacency.num_sources} nodes to {nodes}"
    if adjacency.facts is None:
        ends = [
            _index_text(i) for i in (adjacency.sources, adjacency.targets) if i is not None
        ]
        return f"{nodes}, {adjacency.num_edges} edges {' -> '.join(ends)}"
    facts = adjacency.facts
    extras = [f"at most {facts.max_in_degree} at a node"]
    for number, text in (
        (facts.num_isolated, "isolated"),
        (facts.num_duplicate_edges, "duplicate"),
        (facts.num_self_loops, "self loops"),
    ):
        if number:
            extras.append(f"{number} {text}")
    return f"{nodes}, {adjacency.num_edges} constant edges ({', '.join(extras)})"


def _index_text(index: NodeIndex) -> str:
    name = _name(index.origin)
    if index.row is None:
        return name
    return f"{name}[{index.row}]" if index.axis == 1 else f"{name}[:, {index.row}]"


def _name(value: ir.Value) -> str:
    return value.name or "?"
