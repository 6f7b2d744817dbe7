"""Message passing: quantized models against onnxruntime, float ones against numpy."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from examples.graphs.edge_nodes import STYLES
from examples.graphs.layers.spatio_temporal import forecaster_shapes
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
    forecasting_network,
    forecasting_reference,
    graph_classifier,
    graph_classifier_reference,
    graph_classifier_shapes,
)
from tests.compiler.lowering.qdq_builder import GraphBuilder, compile_and_run
from tests.passes.message_passing.quantized_graph import GraphQuantizer

import octavo
from octavo.compiler.compile import compile_model
from octavo.compiler.importer import import_model
from octavo.compiler.lowering.regions import adjacency_product
from octavo.errors import OctavoError

SIZES = Sizes(num_nodes=70, num_edges=400, num_features=12, hidden=16, num_classes=5)
CASES = [
    (name, style)
    for name in LAYERS
    for style in STYLES
    # No exporter writes maxima, which attention has as well, in the style "nd".
    if style == "elements" or name not in ("sage_max", "gat", "gatv2")
]


def given(name, seed=0):
    """Inputs of a node classifier: isolated nodes, duplicate edges and self loops."""
    rng = np.random.default_rng(seed)
    edges = random_multigraph(SIZES.num_nodes, SIZES.num_edges, rng, num_isolated=5)
    edges[1, :30] = 3  # a hub
    feeds = {
        "x": rng.normal(size=(SIZES.num_nodes, SIZES.num_features)).astype(np.float32),
        "edge_index": edges,
    }
    extra = LAYERS[name].edge_input
    wide = {"edge_weight": (), "edge_attr": (3,)}.get(extra)
    if wide is not None:
        low = 0 if name == "gcn" else -1
        shape = (SIZES.num_edges, *wide)
        feeds[extra] = rng.uniform(low, 1, shape).astype(np.float32)
    return feeds


def weights_of(name):
    return random_weights(weight_shapes(name, SIZES), np.random.default_rng(1))


def quantized(proto, feeds, path, dtype=np.uint8):
    """A model with scales where its forms say, whose rounded sums are outputs as well."""
    onnx.save(proto, path)
    model = import_model(path)
    quantizer = GraphQuantizer(model, feeds, dtype)
    quantizer.run()
    sums = [value for value in quantizer.results if value not in model.graph.outputs]
    model.graph.outputs.extend(sums)
    return ir.to_proto(model)


def aggregations(manifest):
    """Placement of the kernels that aggregate, by the name of their step."""
    return {
        step["name"]: step["placement"]
        for step in manifest["steps"]
        if step["variant"].startswith("csr_rows")
    }


@pytest.mark.parametrize(("name", "style"), CASES)
def test_float_layers_are_their_reference(name, style):
    weights, feeds = weights_of(name), given(name)
    model = node_classifier(name, weights, SIZES, style=style)
    done = compile_and_run(model, feeds, float_only=True)
    expected = node_classifier_reference(name, weights, feeds)
    np.testing.assert_allclose(done.ours["logits"], expected, rtol=1e-4, atol=1e-4)
    operators = {op for step in done.manifest["steps"] for op in step["op_types"]}
    assert not {"Expand", "ConstantOfShape"} & operators
    assert not [s for s in done.manifest["steps"] if "scatter" in s["variant"]]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, np.uint8) for name in LAYERS), ("gcn", np.int8), ("sir_gcn", np.int8)],
)
def test_integers_are_those_of_onnxruntime(tmp_path, name, dtype):
    feeds = given(name)
    proto = node_classifier(name, weights_of(name), SIZES)
    model = quantized(proto, feeds, tmp_path / "m.onnx", dtype)
    done = compile_and_run(model, feeds)
    # Sheaf diffusion adds its degrees up in float.
    placements = aggregations(done.manifest)
    assert [name for name, where in placements.items() if where == "float32"] == (
        ["layer1/ScatterElements_1"] if name == "sheaf" else []
    )
    assert len(placements) >= 2
    # A bias is rounded to the steps of the sums, and multiplied with them: results that are
    # as near to the middle of two integers as that become the other one.
    for output, scale in done.scales.items():
        apart = done.steps_apart(output)
        assert apart.max() <= 1.01, (output, scale)
        assert (apart < 0.5).mean() > 0.97


@pytest.mark.parametrize(
    "name", ["gcn", "sage_mean", "sage_max", "gat", "chebyshev", "sir_gcn"]
)
def test_stored_graphs_need_no_order(tmp_path, name):
    feeds = given(name)
    graph = {key: value for key, value in feeds.items() if key != "x"}
    weights = weights_of(name)
    proto = node_classifier(name, weights, SIZES, graph=graph)
    done = compile_and_run(proto, {"x": feeds["x"]}, float_only=True)
    expected = node_classifier_reference(name, weights, feeds)
    np.testing.assert_allclose(done.ours["logits"], expected, rtol=1e-4, atol=1e-4)
    model = quantized(proto, {"x": feeds["x"]}, tmp_path / "m.onnx")
    done = compile_and_run(model, {"x": feeds["x"]})
    assert not [s for s in done.manifest["steps"] if s["name"].endswith(".order")]
    assert all(done.steps_apart(output).max() <= 1.01 for output in done.scales)


@pytest.mark.parametrize("kind", ["sum", "mean", "max"])
def test_pooling(tmp_path, kind):
    rng = np.random.default_rng(2)
    weights = random_weights(graph_classifier_shapes(SIZES), rng)
    batch = np.sort(rng.integers(0, 6, SIZES.num_nodes))
    feeds = {**given("gin"), "batch": batch[rng.permutation(SIZES.num_nodes)]}
    proto = graph_classifier(weights, SIZES, 7, kind)  # the last graph has no node
    done = compile_and_run(proto, feeds, float_only=True)
    expected = graph_classifier_reference(weights, feeds, 7, kind)
    np.testing.assert_allclose(done.ours["logits"], expected, rtol=1e-4, atol=1e-4)
    done = compile_and_run(quantized(proto, feeds, tmp_path / "m.onnx"), feeds)
    assert all(done.steps_apart(output).max() <= 1.01 for output in done.scales)
    names = [step["name"] for step in done.manifest["steps"]]
    assert {"edge_index.order", "batch.order"} <= set(names)


def adjacency_model(num_steps, *, on_right, scales=True, has_bias=False):
    """A constant matrix times the features of several steps of time, quantized by hand."""
    rng = np.random.default_rng(3)
    nodes, channels = 30, 6
    b = GraphBuilder()
    shape = (num_steps, nodes, channels) if num_steps else (nodes, channels)
    matrix = rng.integers(-127, 128, (nodes, nodes)) * (rng.random((nodes, nodes)) < 0.1)
    matrix = np.where((matrix != 0) | (matrix.T != 0), matrix + (matrix == 0), 0)
    if on_right:
        shape = (*shape[:-2], channels, nodes)
    x = b.qdq(b.input("x", shape), 0.02, 120)
    scale = rng.uniform(0.001, 0.01, nodes).astype(np.float32) if scales else np.float32(0.01)
    zero = np.zeros(np.shape(scale), np.int8)
    a = b.dequantize(
        b.constant(matrix.astype(np.int8)), scale, zero, np.int8, axis=1 if on_right else 0
    )
    y = b.op("MatMul", x, a) if on_right else b.op("MatMul", a, x)
    if not scales or has_bias:
        bias = rng.normal(size=channels if not on_right else (channels, 1))
        y = b.op("Relu", b.op("Add", y, b.constant(bias.astype(np.float32))))
    b.output(b.qdq(y, 0.05, 0 if not scales or has_bias else 130), "y")
    return b.model()


@pytest.mark.parametrize("num_steps", [0, 4])
@pytest.mark.parametrize("on_right", [False, True])
@pytest.mark.parametrize("scales", [False, True])
def test_products_with_a_stored_matrix(num_steps, on_right, scales):
    done = compile_and_run(adjacency_model(num_steps, on_right=on_right, scales=scales))
    assert list(aggregations(done.manifest).values()) == ["int8"]
    assert done.worst_steps <= 1.01
    assert done.equal_share > 0.98
    assert len(np.unique(done.ours["y"])) > 20


@pytest.mark.parametrize("on_right", [False, True])
def test_a_bias_of_sums_with_a_scale_for_each_node_is_integers(monkeypatch, on_right):
    model = adjacency_model(0, on_right=on_right, has_bias=True)
    done = compile_and_run(model)
    (step,) = (s for s in done.manifest["steps"] if s["variant"].startswith("csr_rows"))
    assert step["placement"] == "int8"
    assert {"Add", "Relu"} < set(step["op_types"])
    assert done.worst_steps <= 1.01
    assert done.equal_share > 0.98
    monkeypatch.setattr(adjacency_product, "MAX_NODE_BIASES", 10)
    steps = compile_and_run(model).manifest["steps"]
    assert "float32" in [step["placement"] for step in steps if step["op_types"] == ["Add"]]


@pytest.mark.parametrize("encoder", ["gru", "tcn"])
def test_forecasts(encoder):
    rng = np.random.default_rng(5)
    weights = random_weights(forecaster_shapes(encoder, 16, 20), rng)
    weights["adjacency"] = (rng.random((20, 20)) < 0.15).astype(np.float32)
    x = rng.normal(size=(8, 20, 1)).astype(np.float32)
    model = forecasting_network(weights, encoder, 8)
    done = compile_and_run(model, {"x": x}, float_only=True)
    expected = forecasting_reference(weights, encoder, x)
    np.testing.assert_allclose(done.ours["logits"], expected, rtol=1e-4, atol=1e-4)
    assert list(aggregations(done.manifest)) == ["neighbours/MatMul_1"]


def test_layers_share_the_order_of_edges():
    done = compile_and_run(
        node_classifier("gcn", weights_of("gcn"), SIZES), given("gcn"), float_only=True
    )
    assert [step["name"] for step in done.manifest["steps"]] == [
        "layer1.lin/Gemm_1",
        "edge_index.order",
        "layer1/ScatterElements_1",
        "layer2.lin/Gemm_1",
        "layer2/ScatterElements_1",
    ]
    # Both layers read weights that were put in order with the edges.
    assert done.manifest["steps"][1]["variant"].endswith(".int64.rows.float32_weights")


@pytest.mark.parametrize("name", ["gcn", "gat"])
def test_threads_share_many_edges(tmp_path, name):
    """Tasks write their own edges only, of a sort by blocks of nodes and of a softmax."""
    sizes = replace(SIZES, num_nodes=7000, num_edges=70_000)
    weights = random_weights(weight_shapes(name, sizes), np.random.default_rng(1))
    rng = np.random.default_rng(0)
    feeds = {
        "x": rng.normal(size=(sizes.num_nodes, sizes.num_features)).astype(np.float32),
        "edge_index": random_multigraph(sizes.num_nodes, sizes.num_edges, rng),
    }
    if name == "gcn":
        feeds["edge_weight"] = rng.uniform(0, 1, sizes.num_edges).astype(np.float32)
    onnx.save(node_classifier(name, weights, sizes), tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", "host", tmp_path / "out", float_only=True)
    expected = node_classifier_reference(name, weights, feeds)
    found = []
    for num_threads in (1, 2):
        with octavo.load(tmp_path / "out", num_threads=num_threads) as session:
            found += [session.run(feeds)["logits"] for _ in range(3)]
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)
    assert all(np.array_equal(found[0], other) for other in found[1:])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert any("partitioned_sort" in step["variant"] for step in manifest["steps"])


def test_wrong_edges_fail_one_run(tmp_path):
    feeds = given("sage_mean")
    onnx.save(
        node_classifier("sage_mean", weights_of("sage_mean"), SIZES), tmp_path / "m.onnx"
    )
    compile_model(tmp_path / "m.onnx", "host", tmp_path / "out", float_only=True)
    with octavo.load(tmp_path / "out") as session:
        expected = session.run(feeds)["logits"]
        for end, number in ((0, 70), (1, 70), (0, -71), (1, 2**40)):
            wrong = {**feeds, "edge_index": feeds["edge_index"].copy()}
            wrong["edge_index"][end, 17] = number
            with pytest.raises(OctavoError, match="a kernel reported a failure"):
                session.run(wrong)
        negative = {**feeds, "edge_index": feeds["edge_index"] - 70}
        np.testing.assert_array_equal(session.run(negative)["logits"], expected)


def test_a_hub_beyond_32_bits_is_an_error_of_the_run(tmp_path):
    """Sums of so many products of 8-bit numbers may not fit: no sum is ever wrong."""
    rng = np.random.default_rng(6)
    num_edges = 40_000
    b = GraphBuilder()
    x = b.qdq(b.input("x", (9, 4)), 0.02, 128)
    factor = b.qdq(b.input("w", (num_edges,)), 1 / 255)
    index = b.input("e", (2, num_edges), np.int64)
    source, target = (
        b.op("Gather", index, b.constant(np.int64(end)), axis=0) for end in (0, 1)
    )
    column = b.op("Unsqueeze", factor, b.constant(np.array([1])))
    messages = b.op("Mul", column, b.op("Gather", x, source, axis=0))
    base = b.constant(np.zeros((9, 4), np.float32))
    target = b.op("Unsqueeze", target, b.constant(np.array([1])))
    y = b.op("ScatterND", base, target, messages, reduction="add")
    b.output(b.qdq(y, 10.0, 128), "y")
    onnx.save(b.model(), tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", "host", tmp_path / "out")
    feeds = {
        "x": rng.normal(size=(9, 4)).astype(np.float32),
        "w": rng.random(num_edges).astype(np.float32),
        "e": rng.integers(0, 9, (2, num_edges)),
    }
    with octavo.load(tmp_path / "out") as session:
        session.run(feeds)
        feeds["e"][1, 100:] = 4
        with pytest.raises(OctavoError, match="a kernel reported a failure"):
            session.run(feeds)
