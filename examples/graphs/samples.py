"""The data of the trained networks: block models, the karate club and the diffusion series.

Block models share the means of their blocks: a network learns on some graphs and is judged on
others it has not seen. Every array has the samples first, so that octavo reads them.
"""

import numpy as np
from numpy.typing import NDArray

from examples.graphs.block_model import block_means, contextual_block_model
from examples.graphs.diffusion_series import (
    NUM_NODES,
    diffusion_series,
    series_graph,
    windows,
)
from examples.graphs.graph import dense_adjacency, normalized_weights, with_self_loops
from examples.graphs.karate_club import karate_club
from examples.graphs.onnx_writer import Array

SEED = 0
BLOCK_NODES, BLOCK_EDGES = 300, 3000
NUM_FEATURES, NUM_BLOCKS = 16, 4
SIGNAL, INSIDE = 2.4, 0.6
NUM_PAST = 8
STEPS_TRAIN, STEPS_TEST = 800, 200
STEP = 1 / 64  # features are multiples of it: the files are half as large
KNOWN_MEMBERS = (0, 33)  # of the karate club: the instructor and the officer


def block_graphs(num_graphs: int, seed: int, self_loops: bool) -> dict[str, Array]:
    """Draw graphs of one kind.

    Args:
        num_graphs: S.
        seed: Of the graphs; the blocks' means are always the same.
        self_loops: With one for each node, as GCN and GAT want; the edges' weights are then
            the normalized ones. Otherwise the weights are those of the Laplacian less 1.

    Returns:
        x (S, 300, 16) float32, edge_index (S, 2, E) int64, edge_weight (S, E) float32, label
        (S, 300) int64; E is 3,000, with self loops 3,300.
    """
    means = block_means(NUM_BLOCKS, NUM_FEATURES, SIGNAL, np.random.default_rng(SEED))
    rng = np.random.default_rng([SEED, seed])
    x, edges, weights, labels = [], [], [], []
    for _ in range(num_graphs):
        graph = contextual_block_model(
            BLOCK_NODES, BLOCK_EDGES, rng, num_blocks=NUM_BLOCKS, inside=INSIDE, means=means
        )
        edge_index = graph.edge_index
        if self_loops:
            edge_index = with_self_loops(edge_index, BLOCK_NODES)
        weight = normalized_weights(edge_index, BLOCK_NODES)
        x.append((np.round(graph.features / STEP) * STEP).astype(np.float32))
        edges.append(edge_index)
        weights.append(weight if self_loops else -weight)
        labels.append(graph.labels)
    arrays = {"x": x, "edge_index": edges, "edge_weight": weights, "label": labels}
    return {name: np.stack(parts) for name, parts in arrays.items()}


def club_samples() -> dict[str, Array]:
    """Return the club as one sample: x (1, 34, 34), label (1, 34), known (1, 34) bool."""
    club = karate_club()
    known = np.isin(np.arange(club.num_nodes), KNOWN_MEMBERS)
    return {"x": club.features[None], "label": club.labels[None], "known": known[None]}


def club_adjacency() -> NDArray[np.float32]:
    """Return (34, 34): the club's normalized adjacency, self loops included."""
    club = karate_club()
    return _normalized(club.edge_index, club.num_nodes)


def series_samples() -> tuple[dict[str, Array], dict[str, Array]]:
    """Return training and test samples: x (S, 8, 20, 1) and next (S, 20, 1), float32."""
    series = diffusion_series(STEPS_TRAIN + STEPS_TEST, np.random.default_rng(SEED))
    series = (np.round(series / STEP) * STEP).astype(np.float32)
    parts = [windows(s, NUM_PAST) for s in np.split(series, [STEPS_TRAIN])]
    train, test = ({"x": past, "next": future} for past, future in parts)
    return train, test


def series_adjacency() -> NDArray[np.float32]:
    """Return (20, 20): the series' normalized adjacency, self loops included."""
    return _normalized(series_graph(), NUM_NODES)


def _normalized(edge_index: NDArray[np.int64], num_nodes: int) -> NDArray[np.float32]:
    edges = with_self_loops(edge_index, num_nodes)
    return dense_adjacency(edges, normalized_weights(edges, num_nodes), num_nodes)
