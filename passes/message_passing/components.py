"""What of a graph network has a width of its own: weights, features, messages, coefficients.

A configuration names nodes, and a node has two widths. This says which of the two belongs to
which component: of a linear layer, the weights and what it reads; of the node that aggregates,
the coefficients and the messages that it gathers. A tensor has one width, whoever reads it:
what is gathered is messages to other layers that read it as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

import onnx_ir as ir

from octavo.passes.layer_format import LayerFormat
from octavo.passes.linear_layers import linear_weight
from octavo.passes.message_passing.find import recognize
from octavo.passes.message_passing.linear_weights import layers_before
from octavo.passes.message_passing.regions import GraphNetwork, MessagePassing
from octavo.passes.wiring import is_op

# Between what nodes have aggregated and a layer that reads it these keep one number for each.
_ELEMENTWISE = (
    "Add", "Clip", "Div", "Elu", "Flatten", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Mul", "PRelu", "Relu", "Reshape", "Selu", "Sigmoid", "Softplus", "Squeeze",
    "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze",
)  # fmt: skip
_MOVERS = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


class Role(Enum):
    """What a component is to the network.

    WEIGHTS: Of linear layers.
    FEATURES: What linear layers read that nobody gathers, before any aggregation.
    MESSAGES: What edges gather: the message buffer.
    ATTENTION: Weights that coefficients alone are computed with.
    COEFFICIENTS: Factors of messages: weights of edges, attention, an adjacency matrix.
    AGGREGATED: What linear layers read of the sums of nodes.
    READOUT: What linear layers read of a whole graph.
    """

    WEIGHTS = "weights"
    FEATURES = "features"
    MESSAGES = "messages"
    ATTENTION = "attention"
    COEFFICIENTS = "coefficients"
    AGGREGATED = "aggregated"
    READOUT = "readout"

    @property
    def is_weight(self) -> bool:
        """Whether its width is ``weight_bits`` of its nodes, else ``activation_bits``."""
        return self in (Role.WEIGHTS, Role.ATTENTION, Role.COEFFICIENTS)


@dataclass(frozen=True)
class Component:
    """Parts of one kind.

    Attributes:
        role: Of all of them.
        nodes: Names of the nodes whose width it is, in graph order.
    """

    role: Role
    nodes: tuple[str, ...]


def find_components(graph: ir.Graph) -> tuple[Component, ...]:
    """The components of a graph network, those that it has, in the order of ``Role``.

    Args:
        graph: Topologically sorted, static shapes, float; nodes have names.

    Returns:
        Nothing where no message passing is recognized.
    """
    network = recognize(graph)
    if not network.passings:
        return ()
    heads = {passing.head for passing in network.passings}
    layers = [n for n in graph if n not in heads and linear_weight(n) is not None]
    attention = {n for p in network.passings for n in _attention_layers(p, layers)}
    # Scores are made of what is gathered, before the gather or behind it.
    reading = {n for p in network.passings for n in _other_readers(p)}
    gathering = {n for n in layers if n in attention or n in reading}
    readers = {node for readout in network.readouts for node in readout.output_layers}
    behind = _read_behind_sums(layers, network)
    alone = [n for n in layers if n not in gathering]
    found: dict[Role, list[ir.Node]] = {
        Role.WEIGHTS: [n for n in layers if n not in attention],
        Role.FEATURES: [n for n in alone if n not in readers and n not in behind],
        Role.MESSAGES: [n for n in graph if n in heads or n in gathering],
        Role.ATTENTION: [n for n in layers if n in attention],
        Role.COEFFICIENTS: [p.head for p in network.passings if p.coefficients is not None],
        Role.AGGREGATED: [n for n in alone if n in behind and n not in readers],
        Role.READOUT: [n for n in alone if n in readers],
    }
    return tuple(
        Component(role, tuple(node.name or "" for node in nodes))
        for role, nodes in found.items()
        if nodes
    )


def component_formats(
    components: Iterable[Component], bits: Mapping[Role, int], base: LayerFormat
) -> dict[str, LayerFormat]:
    """The configuration in which components have widths.

    Args:
        components: From ``find_components``.
        bits: Width by role; what is missing has the base's.
        base: Format of what no role changes.

    Returns:
        The format of every node that a component names.
    """
    formats: dict[str, LayerFormat] = {}
    for component in components:
        for name in component.nodes:
            chosen = formats.get(name, base)
            width = bits.get(component.role)
            if width is not None and component.role.is_weight:
                chosen = replace(chosen, weight_bits=width)
            elif width is not None:
                chosen = replace(chosen, activation_bits=width)
            formats[name] = chosen
    return formats


def _read_behind_sums(layers: Iterable[ir.Node], network: GraphNetwork) -> set[ir.Node]:
    """Layers whose input is what nodes have aggregated, through biases and activations."""
    aggregated = {passing.aggregated for passing in network.passings}
    found = set()
    for layer in layers:
        pending = [layer.inputs[0]]
        seen: set[ir.Value | None] = set()
        while pending:
            value = pending.pop()
            if value is None or value in seen:
                continue
            seen.add(value)
            if value in aggregated:
                found.add(layer)
                break
            node = value.producer()
            if node is not None and is_op(node, *_ELEMENTWISE):
                pending += node.inputs
    return found


def _other_readers(passing: MessagePassing) -> set[ir.Node]:
    """Nodes that read what is gathered, but for the message passing itself."""
    pending = [_root(value) for value in passing.features]
    found: set[ir.Node] = set()
    while pending:
        for node, _ in pending.pop().uses():
            if is_op(node, *_MOVERS):
                pending += node.outputs
            elif node not in passing.nodes:
                found.add(node)
    return found


def _root(value: ir.Value) -> ir.Value:
    """The value whose numbers these are, in another order or shape."""
    node = value.producer()
    while node is not None and is_op(node, *_MOVERS) and node.inputs[0] is not None:
        value = node.inputs[0]
        node = value.producer()
    return value


def _attention_layers(passing: MessagePassing, layers: Iterable[ir.Node]) -> set[ir.Node]:
    """The nearest linear layers that scores are computed with, if they make nothing else."""
    if passing.softmax is None or passing.coefficients is None:
        return set()
    among, found = set(layers), set()
    pending: list[ir.Value | None] = [passing.coefficients]
    seen: set[ir.Value | None] = set()
    while pending:
        value = pending.pop()
        node = value.producer() if value is not None else None
        if node is None or value in seen:
            continue
        seen.add(value)
        if node in among:
            found.add(node)
        else:
            pending += node.inputs
    return found - set(layers_before(passing.features))
