"""Layers whose message depends on both ends or on the edge: SIR-GCN, edge-conditioned.

Source: Lim et al., Contextualized Messages Boost Graph Representations, 2024 (SIR-GCN); Gilmer
et al., arXiv:1704.01212 and Simonovsky and Komodakis, arXiv:1704.02901 (edge-conditioned,
PyTorch Geometric's NNConv).
"""

from examples.graphs.aggregate import Floats, linear, relu, scatter_sum
from examples.graphs.edge_nodes import EdgeNodes
from examples.graphs.graph import Edges
from examples.graphs.onnx_writer import Writer

NUM_ATTRIBUTES = 3  # of an edge
ATTRIBUTE_HIDDEN = 8
Weights = dict[str, Floats]
Shapes = dict[str, tuple[int, ...]]


def sir_gcn_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    """Weights of a SIR-GCN layer: of the destination (q), the source (k), the sum (r)."""
    return {
        "q.weight": (num_out, num_in),
        "q.bias": (num_out,),
        "k.weight": (num_out, num_in),
        "r.weight": (num_out, num_out),
    }


def sir_gcn(writer: Writer, edges: EdgeNodes, x: str, name: str) -> str:
    """Append W_R sum_u relu(W_Q x_v + W_K x_u), W_R once for each node."""
    shape = writer.weights[f"{name}.q.bias"].shape
    ends = [
        edges.destination(writer.linear(x, f"{name}.q"), name),
        edges.source(writer.linear(x, f"{name}.k"), name),
    ]
    messages = writer.add("Relu", [writer.add("Add", ends, name)], name)
    return writer.linear(edges.sum(messages, shape, name), f"{name}.r")


def sir_gcn_reference(weights: Weights, edges: Edges, extra: Floats, x: Floats) -> Floats:
    """Return (N, C_out)."""
    q, k = linear(x, weights, "q."), linear(x, weights, "k.")
    return linear(scatter_sum(relu(q[edges[1]] + k[edges[0]]), edges, len(x)), weights, "r.")


def edge_conditioned_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    """Weights of an edge-conditioned layer: of the matrices (nn) and the node itself (lin)."""
    return {
        "nn.0.weight": (ATTRIBUTE_HIDDEN, NUM_ATTRIBUTES),
        "nn.0.bias": (ATTRIBUTE_HIDDEN,),
        "nn.2.weight": (num_in * num_out, ATTRIBUTE_HIDDEN),
        "nn.2.bias": (num_in * num_out,),
        "lin.weight": (num_out, num_in),
        "bias": (num_out,),
    }


def edge_conditioned(writer: Writer, edges: EdgeNodes, x: str, name: str) -> str:
    """Append sum_u x_u' M(e_uv) + W x_v + b, with M (C_in, C_out) a network of the edge."""
    num_out, num_in = writer.weights[f"{name}.lin.weight"].shape
    hidden = writer.add("Relu", [writer.linear(edges.extra, f"{name}.nn.0")], name)
    matrices = writer.linear(hidden, f"{name}.nn.2")
    matrices = writer.reshape(matrices, [-1, num_in, num_out], name)
    rows = writer.add("Unsqueeze", [edges.source(x, name), writer.constant([1])], name)
    messages = writer.add("MatMul", [rows, matrices], name)
    messages = writer.add("Squeeze", [messages, writer.constant([1])], name)
    total = edges.sum(messages, (num_out,), name)
    total = writer.add("Add", [total, writer.linear(x, f"{name}.lin")], name)
    return writer.add("Add", [total, f"{name}.bias"], name)


def edge_conditioned_reference(
    weights: Weights, edges: Edges, edge_attr: Floats, x: Floats
) -> Floats:
    """Return (N, C_out)."""
    hidden = relu(linear(edge_attr, weights, "nn.0."))
    matrices = linear(hidden, weights, "nn.2.").reshape(len(edge_attr), x.shape[1], -1)
    messages = (x[edges[0]][:, None, :] @ matrices)[:, 0]
    total = scatter_sum(messages, edges, len(x))
    return total + linear(x, weights, "lin.") + weights["bias"]
