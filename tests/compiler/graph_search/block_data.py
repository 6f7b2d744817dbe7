"""A graph small enough to search in a second."""

from pathlib import Path

import numpy as np
from examples.graphs.block_model import contextual_block_model

NUM_NODES, NUM_EDGES = 60, 300


def write_graph(path: Path, **changed: object) -> Path:
    """Write a block model; arrays may be changed, or left out with None."""
    rng = np.random.default_rng(0)
    graph = contextual_block_model(
        NUM_NODES, NUM_EDGES, rng, num_blocks=3, inside=0.9, num_features=8, signal=4.0
    )
    part = rng.permutation(NUM_NODES) % 3
    arrays: dict[str, object] = {
        "x": graph.features,
        "edge_index": graph.edge_index,
        "label": graph.labels,
        **{f"{name}_mask": part == k for k, name in enumerate(("train", "val", "test"))},
    }
    arrays |= changed
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path
