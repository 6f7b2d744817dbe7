"""Graph networks compute in ONNX what their numpy references do, on awkward graphs too."""

import numpy as np
import onnxruntime as ort
import pytest
from examples.graphs.edge_nodes import STYLES
from examples.graphs.graph import dense_adjacency, normalized_weights, with_self_loops
from examples.graphs.layers.messages import NUM_ATTRIBUTES
from examples.graphs.layers.pooling import POOLS
from examples.graphs.layers.spatio_temporal import ENCODERS, forecaster_shapes
from examples.graphs.networks import (
    LAYERS,
    Sizes,
    node_classifier,
    node_classifier_reference,
    random_weights,
    weight_shapes,
)
from examples.graphs.random_multigraph import random_multigraph
from examples.graphs.whole_graph_networks import (
    dense_gcn,
    forecasting_network,
    forecasting_reference,
    graph_classifier,
    graph_classifier_reference,
    graph_classifier_shapes,
    rayleigh_classifier,
    rayleigh_classifier_reference,
)

NUM_NODES, NUM_EDGES = 24, 90


def _run(model, inputs):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    names = {value.name for value in session.get_inputs()}
    return session.run(None, {k: v for k, v in inputs.items() if k in names})[0]


def _inputs(rng, num_edges=NUM_EDGES):
    """A multigraph with isolated nodes, duplicate edges and self loops, and its numbers."""
    return {
        "x": rng.standard_normal((NUM_NODES, 16), np.float32),
        "edge_index": random_multigraph(NUM_NODES, num_edges, rng, num_isolated=3),
        "edge_weight": rng.uniform(0.1, 1, num_edges).astype(np.float32),
        "edge_attr": rng.standard_normal((num_edges, NUM_ATTRIBUTES), np.float32),
    }


def _assert_close(actual, expected):
    assert actual.shape == expected.shape
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(actual / scale, expected / scale, atol=1e-4, rtol=0)


WITH_MAXIMA = ("sage_max", "gat", "gatv2")  # of a neighbourhood, or inside a softmax
CASES = [(n, s) for n in LAYERS for s in STYLES if s == "elements" or n not in WITH_MAXIMA]


@pytest.mark.parametrize(("name", "style"), CASES)
def test_a_node_classifier_agrees_with_its_reference(name, style):
    rng = np.random.default_rng(0)
    sizes = Sizes(NUM_NODES, NUM_EDGES)
    weights = random_weights(weight_shapes(name, sizes), rng)
    inputs = _inputs(rng)
    model = node_classifier(name, weights, sizes, style=style)
    _assert_close(_run(model, inputs), node_classifier_reference(name, weights, inputs))


@pytest.mark.parametrize("name", WITH_MAXIMA)
def test_maxima_have_no_scatter_nd(name):
    sizes = Sizes(NUM_NODES, NUM_EDGES)
    weights = random_weights(weight_shapes(name, sizes), np.random.default_rng(0))
    with pytest.raises(ValueError, match="'nd'"):
        node_classifier(name, weights, sizes, style="nd")


@pytest.mark.parametrize("name", LAYERS)
def test_the_number_of_edges_may_be_left_to_run_time(name):
    rng = np.random.default_rng(1)
    sizes = Sizes(NUM_NODES, None)
    weights = random_weights(weight_shapes(name, sizes), rng)
    model = node_classifier(name, weights, sizes)
    for num_edges in (16, 200):
        inputs = _inputs(rng, num_edges)
        _assert_close(_run(model, inputs), node_classifier_reference(name, weights, inputs))


@pytest.mark.parametrize("num_edges", [None, NUM_EDGES])
@pytest.mark.parametrize("name", ["gcn", "gat", "gatv2"])
def test_self_loops_may_be_added_inside(name, num_edges):
    rng = np.random.default_rng(8)
    sizes = Sizes(NUM_NODES, num_edges)
    weights = random_weights(weight_shapes(name, sizes), rng)
    inputs = _inputs(rng)
    model = node_classifier(name, weights, sizes, self_loops_inside=True)
    assert [value.name for value in model.graph.input] == ["x", "edge_index"]
    edges = with_self_loops(inputs["edge_index"], NUM_NODES)
    edge_weight = normalized_weights(edges, NUM_NODES)
    looped = {**inputs, "edge_index": edges, "edge_weight": edge_weight}
    _assert_close(_run(model, inputs), node_classifier_reference(name, weights, looped))


def test_numbers_on_edges_exclude_self_loops_inside():
    sizes = Sizes(NUM_NODES, NUM_EDGES)
    weights = random_weights(weight_shapes("chebyshev", sizes), np.random.default_rng(0))
    with pytest.raises(ValueError, match="'chebyshev'"):
        node_classifier("chebyshev", weights, sizes, self_loops_inside=True)


@pytest.mark.parametrize("name", ["gcn", "sir_gcn"])
def test_a_stored_graph_leaves_x_the_only_input(name):
    rng = np.random.default_rng(2)
    sizes = Sizes(NUM_NODES, NUM_EDGES)
    weights = random_weights(weight_shapes(name, sizes), rng)
    inputs = _inputs(rng)
    graph = {key: inputs[key] for key in ("edge_index", "edge_weight")}
    model = node_classifier(name, weights, sizes, graph=graph)
    assert [value.name for value in model.graph.input] == ["x"]
    _assert_close(_run(model, inputs), node_classifier_reference(name, weights, inputs))


@pytest.mark.parametrize("name", LAYERS)
def test_the_edges_matter(name):
    rng = np.random.default_rng(3)
    sizes = Sizes(NUM_NODES, NUM_EDGES)
    weights = random_weights(weight_shapes(name, sizes), rng)
    inputs = _inputs(rng)
    other = {**inputs, "edge_index": inputs["edge_index"][:, ::-1] * 7 % (NUM_NODES - 3)}
    before = node_classifier_reference(name, weights, inputs)
    after = node_classifier_reference(name, weights, other)
    assert np.abs(before - after)[: NUM_NODES - 3].max() > 0.1
    # Nodes without edges do not see the others.
    np.testing.assert_allclose(before[-3:], after[-3:], atol=1e-5)


def test_a_dense_adjacency_computes_what_edges_do():
    rng = np.random.default_rng(4)
    inputs = _inputs(rng)
    edges = with_self_loops(inputs["edge_index"], NUM_NODES)
    edge_weight = normalized_weights(edges, NUM_NODES)
    sizes = Sizes(NUM_NODES, edges.shape[1])
    weights = random_weights(weight_shapes("gcn", sizes), rng)
    adjacency = dense_adjacency(edges, edge_weight, NUM_NODES)
    expected = node_classifier_reference(
        "gcn", weights, {"x": inputs["x"], "edge_index": edges, "edge_weight": edge_weight}
    )
    _assert_close(_run(dense_gcn(weights, adjacency, sizes), inputs), expected)


@pytest.mark.parametrize("kind", POOLS)
def test_graphs_are_pooled_one_by_one_and_an_empty_one_is_zero(kind):
    rng = np.random.default_rng(5)
    sizes = Sizes(NUM_NODES, NUM_EDGES)
    weights = random_weights(graph_classifier_shapes(sizes), rng)
    inputs = {**_inputs(rng), "batch": np.array([0] * 10 + [2] * 14)}
    expected = graph_classifier_reference(weights, inputs, 4, kind)
    np.testing.assert_allclose(expected[[1, 3]], np.stack([weights["out.bias"]] * 2))
    _assert_close(_run(graph_classifier(weights, sizes, 4, kind), inputs), expected)


def test_rayleigh_quotients_of_eigenvectors_are_their_eigenvalues():
    rng = np.random.default_rng(6)
    edges = _inputs(rng)["edge_index"]
    adjacency = dense_adjacency(edges, np.ones(NUM_EDGES, np.float32), NUM_NODES)
    adjacency = np.maximum(adjacency, adjacency.T)
    laplacian = np.diag(adjacency.sum(axis=1)) - adjacency
    values, vectors = np.linalg.eigh(laplacian)
    x = np.ascontiguousarray(vectors[:, 4:20], np.float32)
    weights = {
        "out.weight": np.eye(16, dtype=np.float32),
        "out.bias": np.zeros(16, np.float32),
    }
    sizes = Sizes(NUM_NODES, None, num_classes=16)
    model = rayleigh_classifier(weights, laplacian, sizes)
    expected = rayleigh_classifier_reference(weights, laplacian, x)
    np.testing.assert_allclose(expected[0], values[4:20], rtol=1e-3, atol=1e-3)
    _assert_close(_run(model, {"x": x}), expected)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_forecaster_agrees_with_its_reference(encoder):
    rng = np.random.default_rng(7)
    weights = random_weights(forecaster_shapes(encoder, 16, NUM_NODES), rng)
    edges = with_self_loops(_inputs(rng)["edge_index"], NUM_NODES)
    edge_weight = normalized_weights(edges, NUM_NODES)
    weights["adjacency"] = dense_adjacency(edges, edge_weight, NUM_NODES)
    x = rng.standard_normal((8, NUM_NODES, 1), np.float32)
    model = forecasting_network(weights, encoder, 8)
    _assert_close(_run(model, {"x": x}), forecasting_reference(weights, encoder, x))
