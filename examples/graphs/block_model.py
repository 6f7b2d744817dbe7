"""Stochastic block models: nodes in blocks, more edges inside a block than between blocks.

With features they are contextual: the graph and the features both tell, with noise, where a
node belongs. Edges are drawn by number, not pair by pair: 100,000 nodes and 1,000,000 edges
take about a second.

Source: Deshpande et al., Contextual Stochastic Block Models, arXiv:1807.09596; Holland et al.,
Stochastic Blockmodels: First Steps, Social Networks 5 (2), 1983.
"""

import numpy as np
from numpy.typing import NDArray

from examples.graphs.graph import Edges, Graph, both_directions

SPARE = 1.2  # of the edges still missing, how many are drawn at once: some are duplicates


def contextual_block_model(
    num_nodes: int,
    num_edges: int,
    rng: np.random.Generator,
    *,
    num_blocks: int = 4,
    inside: float = 0.8,
    means: NDArray[np.float32] | None = None,
    num_features: int = 16,
    signal: float = 1.0,
) -> Graph:
    """Draw a graph with exactly the edges asked for, and features around each block's mean.

    Args:
        num_nodes: At least num_blocks.
        num_edges: Directed edges, even: each undirected edge counts twice. Simple graph: no
            self loops, no duplicates. At most half of those that fit into the blocks.
        rng: Draws everything.
        num_blocks: Equally large, to one node; labels are 0 to num_blocks - 1.
        inside: Fraction of the edges that stay in a block, in [0, 1]. 1 / num_blocks says
            nothing about blocks; less is a heterophilic graph.
        means: Shape (num_blocks, F). Drawn where None; give it to draw more graphs of the
            same kind.
        num_features: F where means is None.
        signal: Distance of means in units of the noise (standard deviation 1), where means is
            None.

    Raises:
        ValueError: The edges do not fit, or their number is odd.
    """
    if num_edges % 2 or num_edges > num_nodes * (num_nodes - 1) // (2 * num_blocks):
        raise ValueError(f"num_edges={num_edges} is odd or too many for {num_nodes} nodes")
    labels = rng.permutation(np.arange(num_nodes, dtype=np.int64) % num_blocks)
    if means is None:
        means = block_means(num_blocks, num_features, signal, rng)
    noise = rng.standard_normal((num_nodes, means.shape[1]), np.float32)
    pairs = _pairs(labels, num_edges // 2, num_blocks, inside, rng)
    return Graph(both_directions(pairs), means[labels] + noise, labels)


def planted_partition(
    num_nodes: int, num_edges: int, rng: np.random.Generator, *, inside: float = 0.8
) -> Graph:
    """Draw a graph of two blocks whose features are noise only: the edges alone tell."""
    nothing = np.zeros((2, 16), np.float32)
    return contextual_block_model(
        num_nodes, num_edges, rng, num_blocks=2, inside=inside, means=nothing
    )


def block_means(
    num_blocks: int, num_features: int, signal: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return (num_blocks, F): directions with the length that puts them signal apart."""
    means = rng.standard_normal((num_blocks, num_features), np.float32)
    means *= signal / np.sqrt(2) / np.linalg.norm(means, axis=1, keepdims=True)
    return means


def _pairs(
    labels: NDArray[np.int64],
    num_pairs: int,
    num_blocks: int,
    inside: float,
    rng: np.random.Generator,
) -> Edges:
    """Return (2, num_pairs): distinct pairs of two different nodes, in random order."""
    members = np.argsort(labels, kind="stable")  # grouped by block
    starts = np.searchsorted(labels[members], np.arange(num_blocks + 1))
    num_inside = round(inside * num_pairs)
    drawn = [
        _distinct(members, starts, labels, num_inside, True, rng),
        _distinct(members, starts, labels, num_pairs - num_inside, False, rng),
    ]
    return np.concatenate(drawn, axis=1)[:, rng.permutation(num_pairs)]


def _distinct(
    members: NDArray[np.int64],
    starts: NDArray[np.int64],
    labels: NDArray[np.int64],
    num_pairs: int,
    same_block: bool,
    rng: np.random.Generator,
) -> Edges:
    """Return (2, num_pairs) with sources below destinations; draws until enough differ."""
    num_nodes = len(labels)
    keys = np.empty(0, np.int64)
    while len(keys) < num_pairs:
        count = int(SPARE * (num_pairs - len(keys))) + 16
        first = rng.integers(num_nodes, size=count)
        if same_block:
            low, high = starts[labels[first]], starts[labels[first] + 1]
            second = members[rng.integers(low, high)]
        else:
            second = rng.integers(num_nodes, size=count)
        low, high = np.minimum(first, second), np.maximum(first, second)
        right = (low != high) & ((labels[first] == labels[second]) == same_block)
        keys = np.unique(np.concatenate([keys, (low * num_nodes + high)[right]]))
    chosen = rng.permutation(keys)[:num_pairs]
    return np.stack(np.divmod(chosen, num_nodes))
