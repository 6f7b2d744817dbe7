"""Graphs are read, or refused in one line."""

import numpy as np
import pytest
from examples.graphs.graph import normalized_weights, with_self_loops
from tests.compiler.graph_search.block_data import NUM_EDGES, NUM_NODES, write_graph

from octavo.compiler.graph_search.graph_data import read_graph
from octavo.errors import DataError


def test_edges_without_weights_get_self_loops_and_normalized_ones(tmp_path) -> None:
    path = write_graph(tmp_path / "graph.npz")
    data, plain = read_graph(path), read_graph(path, self_loops=False)
    assert plain.num_edges == NUM_EDGES
    expected = with_self_loops(plain.edge_index, NUM_NODES)
    np.testing.assert_array_equal(data.edge_index, expected)
    np.testing.assert_array_equal(data.edge_weight, normalized_weights(expected, NUM_NODES))
    assert (data.num_nodes, data.num_features, data.num_classes) == (NUM_NODES, 8, 3)


def test_given_weights_are_kept_with_their_edges(tmp_path) -> None:
    weights = np.arange(NUM_EDGES, dtype=np.float32)
    data = read_graph(write_graph(tmp_path / "graph.npz", edge_weight=weights))
    np.testing.assert_array_equal(data.edge_weight, weights)
    assert data.num_edges == NUM_EDGES


def test_labels_outside_a_mask_do_not_count(tmp_path) -> None:
    data = read_graph(write_graph(tmp_path / "graph.npz"))
    known = data.known(data.test)
    assert known.shape == (1, NUM_NODES)
    assert (known[0][~data.test] == -1).all()
    np.testing.assert_array_equal(known[0][data.test], data.labels[data.test])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": None}, "no array x"),
        ({"x": np.zeros(NUM_NODES)}, r"x is float64\[60\]; allowed: floats with 2 axes"),
        ({"x": np.full((NUM_NODES, 8), np.nan)}, "infinity or NaN"),
        ({"edge_index": np.full((2, 4), NUM_NODES)}, "node 60; allowed: 0 to 59"),
        ({"edge_index": np.full((2, 4), -1)}, "node -1"),
        ({"edge_index": np.zeros((3, 4), np.int64)}, r"\[3, 4\]; allowed: \[2, edges\]"),
        ({"label": np.zeros(5, np.int64)}, "label is for 5 nodes, x has 60"),
        ({"val_mask": np.zeros(NUM_NODES, bool)}, "val_mask needs nodes"),
        ({"label": np.full(NUM_NODES, -1)}, "labels of 0 or more"),
        ({"edge_weight": np.zeros(3, np.float32)}, "3 numbers for 300 edges"),
        ({"edge_weight": np.full(NUM_EDGES, np.inf, np.float32)}, "edge_weight holds inf"),
        ({"train_mask": np.array([{}])}, "no .npz file of a graph"),
    ],
)
def test_what_does_not_fit_is_refused(changed, message, tmp_path) -> None:
    path = write_graph(tmp_path / "graph.npz", **changed)
    with pytest.raises(DataError, match=message):
        read_graph(path)


def test_other_files_are_refused(tmp_path) -> None:
    path = tmp_path / "graph.npz"
    with pytest.raises(DataError, match=r"no \.npz file"):
        read_graph(path)
    path.write_text("nothing")
    with pytest.raises(DataError, match=r"no \.npz file"):
        read_graph(path)
