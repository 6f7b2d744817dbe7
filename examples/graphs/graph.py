"""A graph with features and labels, and what is done to its edges.

An edge (u, v) carries a message from u to v: edge_index[0] holds the sources, edge_index[1]
the destinations, as in PyTorch Geometric. An undirected edge is stored in both directions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Edges = NDArray[np.int64]


@dataclass(frozen=True)
class Graph:
    """One graph.

    Attributes:
        edge_index: Shape (2, E), int64, in [0, N).
        features: Shape (N, F), float32.
        labels: Shape (N,), int64.
    """

    edge_index: Edges
    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def num_nodes(self) -> int:
        """Number of nodes, isolated ones included."""
        return len(self.features)


def both_directions(pairs: Edges) -> Edges:
    """Return (2, 2 E): each pair of (2, E), then each pair reversed."""
    return np.concatenate([pairs, pairs[::-1]], axis=1)


def in_degrees(edge_index: Edges, num_nodes: int) -> NDArray[np.int64]:
    """Return (N,): the edges that end in each node, duplicates counted."""
    return np.bincount(edge_index[1], minlength=num_nodes).astype(np.int64)


def with_self_loops(edge_index: Edges, num_nodes: int) -> Edges:
    """Return (2, E' + N): self loops are taken away, then each node gets one, at the end."""
    others = edge_index[:, edge_index[0] != edge_index[1]]
    loops = np.tile(np.arange(num_nodes, dtype=np.int64), (2, 1))
    return np.concatenate([others, loops], axis=1)


def normalized_weights(edge_index: Edges, num_nodes: int) -> NDArray[np.float32]:
    """Return (E,): 1 / sqrt(d_u d_v) for the in-degrees d of both ends; 0 where one is 0.

    Source: Kipf and Welling, arXiv:1609.02907, equation 2; with self loops added before.
    """
    degrees = in_degrees(edge_index, num_nodes).astype(np.float32)
    inverse = np.zeros(num_nodes, np.float32)
    np.divide(1.0, np.sqrt(degrees), out=inverse, where=degrees > 0)
    return inverse[edge_index[0]] * inverse[edge_index[1]]


def dense_adjacency(
    edge_index: Edges, weights: NDArray[np.float32], num_nodes: int
) -> NDArray[np.float32]:
    """Return (N, N): row v holds the weights of the edges into v; duplicates are summed."""
    adjacency = np.zeros((num_nodes, num_nodes), np.float32)
    np.add.at(adjacency, (edge_index[1], edge_index[0]), weights)
    return adjacency


def drop_edges(edge_index: Edges, fraction: float, rng: np.random.Generator) -> Edges:
    """Return (2, E - round(fraction E)): that many edges are gone, the others in their order.

    Args:
        edge_index: Shape (2, E).
        fraction: In [0, 1].
        rng: Chooses the edges.
    """
    num_edges = edge_index.shape[1]
    kept = rng.permutation(num_edges)[round(fraction * num_edges) :]
    return edge_index[:, np.sort(kept)]
