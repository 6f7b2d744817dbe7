"""Graphs have what they promise: numbers of edges, blocks, isolated nodes, the split."""

import numpy as np
import pytest
from examples.graphs.block_model import contextual_block_model, planted_partition
from examples.graphs.diffusion_series import (
    NUM_NODES,
    diffusion_series,
    series_graph,
    windows,
)
from examples.graphs.graph import (
    dense_adjacency,
    drop_edges,
    in_degrees,
    normalized_weights,
    with_self_loops,
)
from examples.graphs.karate_club import karate_club
from examples.graphs.random_multigraph import random_multigraph, star


def _keys(edge_index):
    return set(map(tuple, edge_index.T.tolist()))


def test_the_karate_club_is_zacharys():
    club = karate_club()
    assert club.edge_index.shape == (2, 156)
    assert len(_keys(club.edge_index)) == 156
    # Known of it: the instructor has 16 friends, the officer 17; the clubs 17 members each.
    degrees = in_degrees(club.edge_index, 34)
    assert (degrees[0], degrees[33], degrees[11]) == (16, 17, 1)
    assert club.labels.sum() == 17
    # 45 triangles: the trace of A^3 over 6.
    adjacency = dense_adjacency(club.edge_index, np.ones(156, np.float32), 34)
    assert np.trace(np.linalg.matrix_power(adjacency, 3)) / 6 == 45


@pytest.mark.parametrize("inside", [0.1, 0.8])
def test_a_block_model_is_simple_symmetric_and_as_mixed_as_asked(inside):
    graph = contextual_block_model(300, 3000, np.random.default_rng(0), inside=inside)
    source, destination = graph.edge_index
    assert graph.edge_index.shape == (2, 3000)
    assert len(_keys(graph.edge_index)) == 3000
    assert _keys(graph.edge_index) == _keys(graph.edge_index[::-1])
    assert (source != destination).all()
    same = (graph.labels[source] == graph.labels[destination]).mean()
    assert same == pytest.approx(inside, abs=1e-3)
    assert np.bincount(graph.labels).tolist() == [75] * 4


def test_features_lie_around_the_means_of_their_blocks():
    means = np.array([[3.0, 0.0], [0.0, -3.0]], np.float32)
    rng = np.random.default_rng(0)
    graph = contextual_block_model(2000, 8000, rng, num_blocks=2, means=means)
    found = [graph.features[graph.labels == k].mean(axis=0) for k in range(2)]
    np.testing.assert_allclose(found, means, atol=0.15)  # 4 standard errors of 1 / sqrt(1000)


def test_a_million_edges_between_a_hundred_thousand_nodes():
    graph = contextual_block_model(100_000, 1_000_000, np.random.default_rng(0))
    keys = graph.edge_index[0] * 100_000 + graph.edge_index[1]
    assert len(np.unique(keys)) == 1_000_000
    assert graph.features.shape == (100_000, 16)
    assert 20 < in_degrees(graph.edge_index, 100_000).max() < 60


def test_a_planted_partition_tells_nothing_by_its_features():
    graph = planted_partition(4000, 16000, np.random.default_rng(0))
    gap = graph.features[graph.labels == 0].mean() - graph.features[graph.labels == 1].mean()
    assert abs(gap) < 0.03


@pytest.mark.parametrize("num_edges", [2999, 300 * 299])
def test_edges_that_do_not_fit_are_refused(num_edges):
    with pytest.raises(ValueError, match=f"num_edges={num_edges}"):
        contextual_block_model(300, num_edges, np.random.default_rng(0))


def test_a_multigraph_has_isolated_nodes_duplicates_and_self_loops():
    edges = random_multigraph(12, 40, np.random.default_rng(0), num_isolated=3)
    assert edges.shape == (2, 40)
    assert edges.max() < 9
    assert len(_keys(edges)) <= 35
    assert (edges[0] == edges[1]).sum() >= 5


def test_a_stars_centre_receives_from_every_leaf():
    assert in_degrees(star(10_000), 10_001)[0] == 10_000


def test_self_loops_are_one_for_each_node_and_weights_normalize():
    edges = with_self_loops(np.array([[0, 1, 1], [1, 0, 1]]), 3)
    assert edges.tolist() == [[0, 1, 0, 1, 2], [1, 0, 0, 1, 2]]
    np.testing.assert_allclose(normalized_weights(edges, 3), [0.5, 0.5, 0.5, 0.5, 1])
    # An isolated node without a self loop has degree 0, and no edge: its weight would be 0.
    assert np.isfinite(normalized_weights(np.array([[0], [1]]), 2)).all()


def test_dropped_edges_are_as_many_as_asked_and_the_others_stay_in_order():
    edges = np.stack([np.arange(100), np.arange(100)])
    kept = drop_edges(edges, 0.1, np.random.default_rng(0))
    assert kept.shape == (2, 90)
    assert (np.diff(kept[0]) > 0).all()


def test_neighbours_tell_more_about_the_next_step_than_the_node_alone():
    series = diffusion_series(600, np.random.default_rng(0))
    past, future = windows(series, 6)
    assert past.shape == (594, 6, NUM_NODES, 1)
    np.testing.assert_array_equal(past[7, -1], series[12, :, None])
    np.testing.assert_array_equal(future[7], series[13, :, None])
    source, destination = series_graph()
    received = np.zeros_like(series)
    np.add.at(received, (slice(None), destination), series[:, source])

    def error(*columns):
        x = np.stack([*(c[:-1].ravel() for c in columns), np.ones(599 * NUM_NODES)], axis=1)
        y = series[1:].ravel()
        return np.abs(y - x @ np.linalg.lstsq(x, y, rcond=None)[0]).mean()

    assert error(series, received) < 0.9 * error(series)
