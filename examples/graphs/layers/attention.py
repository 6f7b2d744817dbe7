"""Layers that weigh their neighbours by a softmax over edges: GAT and GATv2.

Source: Velickovic et al., arXiv:1710.10903; Brody et al., arXiv:2105.14491.
"""

import numpy as np

from examples.graphs.aggregate import Floats, edge_softmax, linear, scatter_sum
from examples.graphs.edge_nodes import EdgeNodes
from examples.graphs.graph import Edges
from examples.graphs.onnx_writer import Writer

NEGATIVE_SLOPE = 0.2
Weights = dict[str, Floats]
Shapes = dict[str, tuple[int, ...]]


def gat_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    """Weights of a GAT layer whose heads are concatenated."""
    head = (1, num_heads, num_out // num_heads)
    return {
        "lin.weight": (num_out, num_in),
        "att_src": head,
        "att_dst": head,
        "bias": (num_out,),
    }


def gat(writer: Writer, edges: EdgeNodes, x: str, name: str) -> str:
    """Append sum_u softmax_u(leaky(a_src' W x_u + a_dst' W x_v)) W x_u + b."""
    _, num_heads, width = writer.weights[f"{name}.att_src"].shape
    y = writer.reshape(writer.linear(x, f"{name}.lin"), [-1, num_heads, width], name)
    last = writer.constant([-1])
    source, destination = (
        writer.add(
            "ReduceSum",
            [writer.add("Mul", [y, f"{name}.{end}"], name), last],
            name,
            keepdims=0,
        )
        for end in ("att_src", "att_dst")
    )
    ends = [edges.source(source, name), edges.destination(destination, name)]
    scores = writer.add("Add", ends, name)
    scores = writer.add("LeakyRelu", [scores], name, alpha=NEGATIVE_SLOPE)
    return _attend(writer, edges, scores, edges.source(y, name), name, (num_heads, width))


def gat_reference(weights: Weights, edges: Edges, extra: Floats, x: Floats) -> Floats:
    """Return (N, C_out)."""
    num_heads = weights["att_src"].shape[1]
    y = linear(x, weights, "lin.").reshape(len(x), num_heads, -1)
    source = (y * weights["att_src"]).sum(axis=-1)
    destination = (y * weights["att_dst"]).sum(axis=-1)
    scores = _leaky(source[edges[0]] + destination[edges[1]])
    messages = edge_softmax(scores, edges, len(x))[:, :, None] * y[edges[0]]
    return scatter_sum(messages, edges, len(x)).reshape(len(x), -1) + weights["bias"]


def gatv2_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    """Weights of a GATv2 layer whose heads are concatenated."""
    return {
        "lin_l.weight": (num_out, num_in),
        "lin_l.bias": (num_out,),
        "lin_r.weight": (num_out, num_in),
        "lin_r.bias": (num_out,),
        "att": (1, num_heads, num_out // num_heads),
        "bias": (num_out,),
    }


def gatv2(writer: Writer, edges: EdgeNodes, x: str, name: str) -> str:
    """Append sum_u softmax_u(a' leaky(W_l x_u + W_r x_v)) W_l x_u + b."""
    _, num_heads, width = writer.weights[f"{name}.att"].shape
    left, right = (
        writer.reshape(writer.linear(x, f"{name}.{end}"), [-1, num_heads, width], name)
        for end in ("lin_l", "lin_r")
    )
    messages = edges.source(left, name)
    mixed = writer.add("Add", [edges.destination(right, name), messages], name)
    mixed = writer.add("LeakyRelu", [mixed], name, alpha=NEGATIVE_SLOPE)
    scores = writer.add(
        "ReduceSum",
        [writer.add("Mul", [mixed, f"{name}.att"], name), writer.constant([-1])],
        name,
        keepdims=0,
    )
    return _attend(writer, edges, scores, messages, name, (num_heads, width))


def gatv2_reference(weights: Weights, edges: Edges, extra: Floats, x: Floats) -> Floats:
    """Return (N, C_out)."""
    num_heads = weights["att"].shape[1]
    left = linear(x, weights, "lin_l.").reshape(len(x), num_heads, -1)
    right = linear(x, weights, "lin_r.").reshape(len(x), num_heads, -1)
    mixed = _leaky(left[edges[0]] + right[edges[1]])
    scores = (mixed * weights["att"]).sum(axis=-1)
    messages = edge_softmax(scores, edges, len(x))[:, :, None] * left[edges[0]]
    return scatter_sum(messages, edges, len(x)).reshape(len(x), -1) + weights["bias"]


def _attend(
    writer: Writer,
    edges: EdgeNodes,
    scores: str,
    messages: str,
    name: str,
    shape: tuple[int, int],
) -> str:
    """Append the sum of messages (E, H, C) weighted by the softmax of scores (E, H)."""
    coefficients = edges.softmax(scores, shape[0], name)
    column = writer.add("Unsqueeze", [coefficients, writer.constant([-1])], name)
    total = edges.sum(writer.add("Mul", [column, messages], name), shape, name)
    joined = writer.reshape(total, [-1, shape[0] * shape[1]], name)
    return writer.add("Add", [joined, f"{name}.bias"], name)


def _leaky(x: Floats) -> Floats:
    return np.where(x > 0, x, np.float32(NEGATIVE_SLOPE) * x)
