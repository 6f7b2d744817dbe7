"""Graphs with hubs: degrees follow a power law, labels and features those of a block model.

Ends of edges are drawn in proportion to a weight of each node, from a Pareto distribution, so
there are nodes with hundreds of edges beside many with a few; the same two nodes may be
connected several times.

Source: Karrer and Newman, Stochastic blockmodels and community structure in networks,
arXiv:1008.3926 (degree correction).
"""

import numpy as np
from numpy.typing import NDArray

from examples.graphs.graph import Graph, both_directions


def power_law_multigraph(
    num_nodes: int,
    num_edges: int,
    rng: np.random.Generator,
    *,
    means: NDArray[np.float32],
    exponent: float = 2.7,
    inside: float = 0.6,
) -> Graph:
    """Draw a multigraph with hubs, and features around each block's mean.

    Args:
        num_nodes: At least as many as there are blocks.
        num_edges: Directed edges, even: each undirected edge counts twice. Self loops and
            duplicates occur.
        rng: Draws everything.
        means: (blocks, F), of the features; see ``block_model.block_means``.
        exponent: Of the degrees' distribution, above 1: the smaller, the larger the hubs.
        inside: Fraction of the edges that stay in a block, in [0, 1].

    Raises:
        ValueError: The number of edges is odd.
    """
    if num_edges % 2:
        raise ValueError(f"num_edges={num_edges} is odd")
    num_blocks = len(means)
    labels = rng.permutation(np.arange(num_nodes, dtype=np.int64) % num_blocks)
    weights = rng.pareto(exponent - 1.0, num_nodes) + 1.0
    everyone = np.arange(num_nodes)
    first = _drawn(everyone, weights, num_edges // 2, rng)
    second = _drawn(everyone, weights, num_edges // 2, rng)
    stays = rng.random(num_edges // 2) < inside
    for block in range(num_blocks):
        chosen = np.flatnonzero(stays & (labels[first] == block))
        second[chosen] = _drawn(np.flatnonzero(labels == block), weights, len(chosen), rng)
    noise = rng.standard_normal((num_nodes, means.shape[1]), np.float32)
    return Graph(both_directions(np.stack([first, second])), means[labels] + noise, labels)


def _drawn(
    nodes: NDArray[np.int64],
    weights: NDArray[np.float64],
    count: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return (count,) of the nodes, each as often as its weight says."""
    share = weights[nodes] / weights[nodes].sum()
    return rng.choice(nodes, size=count, p=share)
