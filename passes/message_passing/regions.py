"""What is found of message passing: one record for each aggregation, with named components."""

from dataclasses import dataclass

import onnx_ir as ir

from octavo.passes.message_passing.adjacency import Adjacency
from octavo.passes.message_passing.edge_trace import Gathered
from octavo.passes.message_passing.node_index import NodeIndex
from octavo.passes.message_passing.scatter_softmax import ScatterSoftmax
from octavo.passes.message_passing.segments import Aggregation

INT32_MAX = 2**31 - 1


@dataclass(frozen=True, eq=False)
class MessagePassing:
    """Every node receives from the nodes that edges connect it to.

    Attributes:
        head: The node that aggregates: a scatter or the product with the adjacency.
        nodes: What only this region reads, from Gathers to the aggregated value, graph order.
        adjacency: The edges, and what is known of them.
        aggregation: Of the messages at a node.
        gathered: Features that messages are made of, at either end; empty for a product.
        features: Node features, each once: what is gathered or multiplied.
        edge_attributes: What messages read besides coefficients: attributes of edges,
            constants of one number or row for each edge, and values that others read as well.
        shared: Computed values that are the same for every edge; weights are not among them.
        messages: (..., edges, ...): what is aggregated; the features for a product.
        coefficients: Factors of the messages, fewer numbers than messages, or the matrix of a
            product; None if the messages have none.
        coefficient_inputs: Features that coefficients are made of, at either end.
        coefficient_attributes: Of edges, that coefficients are made of.
        softmax: The attention that makes the coefficients, or None.
        aggregated: (..., nodes, ...), divided already if it is a mean.
        node_axis: Where nodes are in ``aggregated``, counted from 0.
        fill: What a node has that receives nothing.
        keeps_fill: Whether that takes part in what other nodes have.
        feature_layers: Linear layers in front: they make what is gathered.
        message_layers: Linear layers that work on edges.
        output_layers: Linear layers that read what is aggregated.
    """

    head: ir.Node
    nodes: tuple[ir.Node, ...]
    adjacency: Adjacency
    aggregation: Aggregation
    gathered: tuple[Gathered, ...]
    features: tuple[ir.Value, ...]
    edge_attributes: tuple[ir.Value, ...]
    shared: tuple[ir.Value, ...]
    messages: ir.Value
    coefficients: ir.Value | None
    coefficient_inputs: tuple[Gathered, ...]
    coefficient_attributes: tuple[ir.Value, ...]
    softmax: ScatterSoftmax | None
    aggregated: ir.Value
    node_axis: int
    fill: float
    keeps_fill: bool
    feature_layers: tuple[ir.Node, ...]
    message_layers: tuple[ir.Node, ...]
    output_layers: tuple[ir.Node, ...]

    def largest_sum(self, largest_message: int) -> int:
        """How large the int32 of a node can become, whatever the edges are.

        Args:
            largest_message: Largest magnitude of one integer message, coefficient included.

        Returns:
            A magnitude; of products 2**63 stands for all beyond it.
        """
        if self.aggregation in (Aggregation.ADD, Aggregation.MEAN):
            return self.adjacency.degree_bound * largest_message
        if self.aggregation is not Aggregation.MUL or largest_message <= 1:
            return largest_message
        # 63 factors of 2 are as much; a million of them would be a number of megabytes.
        num_factors = min(self.adjacency.degree_bound, 63)
        return min(int(largest_message**num_factors), 2**63)

    def fits_int32(self, largest_message: int) -> bool:
        """Whether no node can overflow an int32 accumulator."""
        return self.largest_sum(largest_message) <= INT32_MAX


@dataclass(frozen=True, eq=False)
class Readout:
    """Nodes brought together into one row for each graph.

    Attributes:
        node: The scatter by graph number, or the reduction over all nodes of one graph.
        nodes: It, and what belongs to it alone, in graph order.
        features: (..., nodes, ...).
        index: The graph of each node; None where there is one graph.
        aggregation: Of the nodes of a graph.
        pooled: (..., graphs, ...), or without that axis.
        num_graphs: How many rows there are.
        output_layers: Linear layers that read it.
    """

    node: ir.Node
    nodes: tuple[ir.Node, ...]
    features: ir.Value
    index: NodeIndex | None
    aggregation: Aggregation
    pooled: ir.Value
    num_graphs: int
    output_layers: tuple[ir.Node, ...]


@dataclass(frozen=True, eq=False)
class GraphNetwork:
    """All that is recognized in one graph.

    Attributes:
        passings: In graph order of their heads.
        readouts: In graph order.
        degrees: Scatters that add a constant for each edge: degrees that others divide by.
        reasons: Why a scatter with a reduction is none of these, by node name.
    """

    passings: tuple[MessagePassing, ...]
    readouts: tuple[Readout, ...]
    degrees: tuple[ir.Node, ...]
    reasons: dict[str, str]
