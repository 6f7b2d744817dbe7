"""Graphs that break aggregations: isolated nodes, duplicate edges, self loops, hubs."""

import numpy as np

from examples.graphs.graph import Edges


def random_multigraph(
    num_nodes: int, num_edges: int, rng: np.random.Generator, *, num_isolated: int = 2
) -> Edges:
    """Draw directed edges, the last num_isolated nodes left out, in random order.

    Of the edges, one in eight is a copy of another and one in eight a self loop.

    Args:
        num_nodes: More than num_isolated.
        num_edges: At least 16, so that there are two of each kind.
        rng: Draws everything.
        num_isolated: Nodes without any edge, at the end.

    Returns:
        Shape (2, num_edges), int64.
    """
    special = num_edges // 8
    edges = rng.integers(num_nodes - num_isolated, size=(2, num_edges), dtype=np.int64)
    edges[1, :special] = edges[0, :special]
    edges[:, special : 2 * special] = edges[:, -special:]
    return rng.permutation(edges, axis=1)


def star(num_leaves: int) -> Edges:
    """Return (2, num_leaves): every leaf sends to node 0, the worst case of a sum."""
    leaves = np.arange(1, num_leaves + 1, dtype=np.int64)
    return np.stack([leaves, np.zeros_like(leaves)])
