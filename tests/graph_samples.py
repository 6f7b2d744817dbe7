"""Random graphs with features, as samples of the networks of ``examples.graphs``."""

import numpy as np


def graph_samples(num_nodes, num_edges, num_samples, num_features, seed=7):
    """Arrays with samples first: x, edge_index, edge_weight, batch; isolated nodes likely."""
    rng = np.random.default_rng(seed)
    shape = (num_samples, num_edges)
    return {
        "x": rng.standard_normal((num_samples, num_nodes, num_features), np.float32),
        "edge_index": rng.integers(0, num_nodes, (num_samples, 2, num_edges)),
        "edge_weight": rng.random(shape, np.float32),
        "batch": np.sort(rng.integers(0, 4, (num_samples, num_nodes)), axis=1),
    }
