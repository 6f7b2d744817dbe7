"""Layers whose messages are the neighbours' features: GCN, GraphSAGE, GIN, Chebyshev.

Source: Kipf and Welling, arXiv:1609.02907; Hamilton et al., arXiv:1706.02216; Xu et al.,
arXiv:1810.00826; Defferrard et al., arXiv:1606.09375.
"""

import numpy as np

from examples.graphs.aggregate import (
    Floats,
    linear,
    relu,
    scatter_max,
    scatter_mean,
    scatter_sum,
)
from examples.graphs.edge_nodes import EdgeNodes
from examples.graphs.graph import Edges
from examples.graphs.onnx_writer import Writer

ORDER = 3  # of the Chebyshev polynomial: how many terms
Weights = dict[str, Floats]
Shapes = dict[str, tuple[int, ...]]


def gcn_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    """Weights of a GCN layer."""
    return {"lin.weight": (num_out, num_in), "bias": (num_out,)}


def gcn(writer: Writer, edges: EdgeNodes, x: str, name: str) -> str:
    """Append sum_u a_uv W x_u + b, the edge's number a_uv given: GCNConv(normalize=False)."""
    num_out = len(writer.weights[f"{name}.bias"])
    y = writer.linear(x, f"{name}.lin")
    y = edges.weighted(edges.source(y, name), 2, name)
    return writer.add("Add", [edges.sum(y, (num_out,), name), f"{name}.bias"], name)


def gcn_reference(weights: Weights, edges: Edges, edge_weight: Floats, x: Floats) -> Floats:
    """Return (N, C_out)."""
    y = linear(x, weights, "lin.")[edges[0]] * edge_weight[:, None]
    return scatter_sum(y, edges, len(x)) + weights["bias"]


def sage_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    """Weights of a GraphSAGE layer: of the neighbours (l) and of the node itself (r)."""
    wide = (num_out, num_in)
    return {"lin_l.weight": wide, "lin_l.bias": (num_out,), "lin_r.weight": wide}


def sage_mean(writer: Writer, edges: EdgeNodes, x: str, name: str) -> str:
    """Append W_l mean_u x_u + W_r x_v + b."""
    return _sage(writer, edges, x, name, maximum=False)


def sage_max(writer: Writer, edges: EdgeNodes, x: str, name: str) -> str:
    """Append W_l max_u x_u + W_r x_v + b."""
    return _sage(writer, edges, x, name, maximum=True)


def _sage(writer: Writer, edges: EdgeNodes, x: str, name: str, maximum: bool) -> str:
    shape = writer.weights[f"{name}.lin_l.weight"].shape[1:]
    messages = edges.source(x, name)
    pooled = (edges.max if maximum else edges.mean)(messages, shape, name)
    parts = [writer.linear(pooled, f"{name}.lin_l"), writer.linear(x, f"{name}.lin_r")]
    return writer.add("Add", parts, name)


def sage_mean_reference(weights: Weights, edges: Edges, extra: Floats, x: Floats) -> Floats:
    """Return (N, C_out)."""
    pooled = scatter_mean(x[edges[0]], edges, len(x))
    return linear(pooled, weights, "lin_l.") + linear(x, weights, "lin_r.")


def sage_max_reference(weights: Weights, edges: Edges, extra: Floats, x: Floats) -> Floats:
    """Return (N, C_out)."""
    pooled = scatter_max(x[edges[0]], edges, len(x))
    return linear(pooled, weights, "lin_l.") + linear(x, weights, "lin_r.")


def gin_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    """Weights of a GIN layer with two linear layers and 1 + epsilon."""
    return {
        "scale": (1,),
        "nn.0.weight": (num_out, num_in),
        "nn.0.bias": (num_out,),
        "nn.2.weight": (num_out, num_out),
        "nn.2.bias": (num_out,),
    }


def gin(writer: Writer, edges: EdgeNodes, x: str, name: str) -> str:
    """Append MLP(sum_u x_u + (1 + epsilon) x_v)."""
    shape = writer.weights[f"{name}.nn.0.weight"].shape[1:]
    total = edges.sum(edges.source(x, name), shape, name)
    own = writer.add("Mul", [x, f"{name}.scale"], name)
    y = writer.linear(writer.add("Add", [total, own], name), f"{name}.nn.0")
    return writer.linear(writer.add("Relu", [y], name), f"{name}.nn.2")


def gin_reference(weights: Weights, edges: Edges, extra: Floats, x: Floats) -> Floats:
    """Return (N, C_out)."""
    y = scatter_sum(x[edges[0]], edges, len(x)) + weights["scale"] * x
    return linear(relu(linear(y, weights, "nn.0.")), weights, "nn.2.")


def chebyshev_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    """Weights of a Chebyshev layer."""
    terms = {f"lins.{k}.weight": (num_out, num_in) for k in range(ORDER)}
    return {**terms, "bias": (num_out,)}


def chebyshev(writer: Writer, edges: EdgeNodes, x: str, name: str) -> str:
    """Append sum_k W_k T_k(L) x + b, with T_0 = 1, T_1 = L, T_k = 2 L T_(k-1) - T_(k-2).

    The edge's number is that of the scaled Laplacian L = 2 / lambda - 1, which has nothing on
    its diagonal where lambda = 2: minus the normalized weight.
    """
    shape = writer.weights[f"{name}.lins.0.weight"].shape[1:]
    two = writer.constant(2, np.float32)
    before, term = "", x
    y = writer.linear(x, f"{name}.lins.0")
    for k in range(1, ORDER):
        moved = edges.weighted(edges.source(term, name), 2, name)
        moved = edges.sum(moved, shape, name)
        if before:
            doubled = writer.add("Mul", [moved, two], name)
            moved = writer.add("Sub", [doubled, before], name)
        before, term = term, moved
        y = writer.add("Add", [y, writer.linear(term, f"{name}.lins.{k}")], name)
    return writer.add("Add", [y, f"{name}.bias"], name)


def chebyshev_reference(
    weights: Weights, edges: Edges, edge_weight: Floats, x: Floats
) -> Floats:
    """Return (N, C_out)."""

    def multiply(y: Floats) -> Floats:
        return scatter_sum(y[edges[0]] * edge_weight[:, None], edges, len(x))

    terms = [x, multiply(x)]
    while len(terms) < ORDER:
        terms.append(2 * multiply(terms[-1]) - terms[-2])
    y = sum(linear(term, weights, f"lins.{k}.") for k, term in enumerate(terms))
    return y + weights["bias"]
