"""What of a graph network has a width of its own: weights, features, messages, coefficients.

A configuration names nodes, and a node has two widths. This says which of the two belongs to
which component: of a linear layer, the weights and what it reads, which are features or what
nodes have aggregated; of the node that aggregates, the coefficients and the messages that it
gathers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

import onnx_ir as ir

from octavo.passes.layer_format import LayerFormat
from octavo.passes.linear_layers import linear_weight
from octavo.passes.message_passing.find import recognize
from octavo.passes.message_passing.regions import GraphNetwork
from octavo.passes.wiring import is_op

# Between what nodes have aggregated and a layer that reads it these keep one number for each.
_ELEMENTWISE = (
    "Add", "Clip", "Div", "Elu", "Flatten", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Mul", "PRelu", "Relu", "Reshape", "Selu", "Sigmoid", "Softplus", "Squeeze",
    "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze",
)  # fmt: skip


class Role(Enum):
    """What a component is to the network."""

    WEIGHTS = "weights"
    FEATURES = "features"
    MESSAGES = "messages"
    COEFFICIENTS = "coefficients"
    AGGREGATED = "aggregated"
    READOUT = "readout"

    @property
    def is_weight(self) -> bool:
        """Whether its width is ``weight_bits`` of its nodes, else ``activation_bits``."""
        return self in (Role.WEIGHTS, Role.COEFFICIENTS)


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
    readers = {node for readout in network.readouts for node in readout.output_layers}
    behind = _read_behind_sums(layers, network)
    found: dict[Role, list[ir.Node | None]] = {
        Role.WEIGHTS: [*layers],
        Role.FEATURES: [n for n in layers if n not in readers and n not in behind],
        Role.MESSAGES: [passing.head for passing in network.passings],
        Role.COEFFICIENTS: [
            p.head for p in network.passings if p.coefficients is not None
        ],
        Role.AGGREGATED: [n for n in layers if n in behind and n not in readers],
        Role.READOUT: [n for n in layers if n in readers],
    }  # fmt: skip
    return tuple(
        Component(role, tuple(node.name or "" for node in nodes if node is not None))
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
