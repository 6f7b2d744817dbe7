"""What happens along edges, in numpy: the references of edge_nodes."""

import numpy as np
from numpy.typing import NDArray

from examples.graphs.graph import Edges, in_degrees

Floats = NDArray[np.float32]


def scatter_sum(messages: Floats, edges: Edges, num_nodes: int) -> Floats:
    """Return (N, ...): messages (E, ...) summed at their destinations."""
    total = np.zeros((num_nodes, *messages.shape[1:]), np.float32)
    np.add.at(total, edges[1], messages)
    return total


def scatter_mean(messages: Floats, edges: Edges, num_nodes: int) -> Floats:
    """Return (N, ...): their mean; 0 where no edge ends."""
    counts = np.maximum(in_degrees(edges, num_nodes), 1).astype(np.float32)
    return scatter_sum(messages, edges, num_nodes) / counts.reshape(
        -1, *[1] * messages[0].ndim
    )


def scatter_max(messages: Floats, edges: Edges, num_nodes: int) -> Floats:
    """Return (N, ...): their maximum; 0 where no edge ends."""
    highest = np.full((num_nodes, *messages.shape[1:]), -np.inf, np.float32)
    np.maximum.at(highest, edges[1], messages)
    return np.where(np.isneginf(highest), np.float32(0), highest)


def edge_softmax(scores: Floats, edges: Edges, num_nodes: int) -> Floats:
    """Return (E, H): the softmax of scores among the edges that end in the same node."""
    exps = np.exp(scores - scatter_max(scores, edges, num_nodes)[edges[1]])
    return exps / scatter_sum(exps, edges, num_nodes)[edges[1]]


def linear(x: Floats, weights: dict[str, Floats], name: str = "") -> Floats:
    """Return x W' + b; no b if there is none. ``name`` is "" or ends with a dot."""
    y = x @ weights[f"{name}weight"].T
    return y + weights[f"{name}bias"] if f"{name}bias" in weights else y


def relu(x: Floats) -> Floats:
    """Return max(x, 0)."""
    return np.maximum(x, np.float32(0))
