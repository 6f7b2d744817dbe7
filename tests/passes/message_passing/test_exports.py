"""Layers as real exporters write them, see ``exports/make_exports.py``."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from octavo.compiler.importer import import_model
from octavo.passes.message_passing.describe import region_lines
from octavo.passes.message_passing.find import recognize
from octavo.passes.message_passing.segments import Aggregation

EXPORTS = Path(__file__).parent / "exports"
GIVEN = "7 nodes, 12 edges edge_index[0] -> edge_index[1]"
FIXED = "7 nodes, 17 constant edges (at most 4 at a node, 1 duplicate, 7 self loops)"
LINES = {
    "cheb_fixed": [
        f"scatter_add_1 = add(view_3 * x): {FIXED}",
        f"scatter_add_2 = add(view_3 * scatter_add_1): {FIXED}",
    ],
    "dense": [
        "y = add(a * linear): 7 nodes, 11 constant edges"
        " (at most 3 at a node, 1 isolated, 2 self loops)"
    ],
    "gat": [f"scatter_add_1 = add(attention * view): {GIVEN}"],
    "gat_fixed": [f"scatter_add_1 = add(attention * view): {FIXED}"],
    "gat_script": [
        f"/aggr_module/ScatterElements_output_0 = add(attention * /Reshape_output_0): {GIVEN}"
    ],
    "gatv2": [f"scatter_add_1 = add(attention * view): {GIVEN}"],
    "gcn": [
        f"scatter_add = add(edge_weight * linear): {GIVEN}",
        f"scatter_add_1 = add(edge_weight * linear_1): {GIVEN}",
    ],
    "gcn_fixed": [f"scatter_add_1 = add(view_2 * linear): {FIXED}"],
    "gcn_norm": [f"scatter_add_1 = add(mul_1 * linear): {GIVEN}"],
    "gin": [f"scatter_add = add(x): {GIVEN}"],
    "gru": [
        f"val_24 = add(edge_weight * val_1): {GIVEN}",
        f"val_48 = add(edge_weight * val_28): {GIVEN}",
    ],
    "mul": [f"y = mul(x): {GIVEN}, nodes without edges 1"],
    "nnconv": [f"scatter_add = add(f(x, edge_attr)): {GIVEN}"],
    "pool_add": [
        f"scatter_add = add(x): {GIVEN}",
        "scatter_add_1 = add(relu): all nodes to 2 graphs by batch",
    ],
    "pool_max": [
        f"scatter_add = add(x): {GIVEN}",
        "scatter_reduce = max(relu): all nodes to 2 graphs by batch",
    ],
    "pool_mean": [
        f"scatter_add = add(x): {GIVEN}",
        "div = mean(relu): all nodes to 2 graphs by batch",
    ],
    "pool_mean_script": [
        f"/conv/aggr_module/ScatterElements_output_0 = add(x): {GIVEN}",
        "/Div_output_0 = mean(/Relu_output_0): all nodes to 2 graphs by batch",
    ],
    "sage_max": [f"scatter_reduce = max(x): {GIVEN}"],
    "sage_max_fixed": [
        "scatter_reduce = max(x): 7 nodes, 12 constant edges"
        " (at most 3 at a node, 1 isolated, 1 duplicate, 2 self loops)"
    ],
    "sage_max_script": [f"/aggr_module/ScatterElements_1_output_0 = max(x): {GIVEN}"],
    "sage_mean": [f"div = mean(x): {GIVEN}", f"div_1 = mean(relu): {GIVEN}"],
    "sage_mean_fixed": [
        "div = mean(x): 7 nodes, 12 constant edges"
        " (at most 3 at a node, 1 isolated, 1 duplicate, 2 self loops)"
    ],
    "sage_mean_script": [
        f"/a/aggr_module/Div_output_0 = mean(x): {GIVEN}",
        f"/b/aggr_module/Div_output_0 = mean(/Relu_output_0): {GIVEN}",
    ],
    "sage_min": [f"scatter_reduce = min(x): {GIVEN}"],
    "sheaf": [f"val_48 = add(f(linear_2, linear)): {GIVEN}"],
    "sir": [f"scatter_add = add(f(linear_1, linear)): {GIVEN}"],
}
IDENTITY = {
    Aggregation.ADD: (np.add, 0.0),
    Aggregation.MEAN: (np.add, 0.0),
    Aggregation.MAX: (np.maximum, -np.inf),
    Aggregation.MIN: (np.minimum, np.inf),
    Aggregation.MUL: (np.multiply, 1.0),
}


def load(name):
    return import_model(EXPORTS / f"{name}.onnx")


def test_every_export_is_here():
    assert {path.stem for path in EXPORTS.glob("*.onnx")} == set(LINES)


@pytest.mark.parametrize("name", LINES)
def test_what_is_found(name):
    network = recognize(load(name).graph)
    assert region_lines(network) == LINES[name]
    nodes = [node for passing in network.passings for node in passing.nodes]
    assert len(nodes) == len(set(nodes))  # no node is in two regions


def feeds_of(model, rng):
    """Random inputs, over a multigraph with isolated nodes, duplicates and self loops."""
    feeds = {}
    for value in model.graph.inputs:
        shape = tuple(value.shape)
        if value.dtype == ir.DataType.INT64:
            feeds[value.name] = rng.integers(0, 2 if value.name == "batch" else 5, shape)
        else:
            feeds[value.name] = rng.normal(size=shape).astype(np.float32)
    return feeds


def aggregate(passing, messages, targets):
    """What a record says becomes of messages, one after the other."""
    combine, start = IDENTITY[passing.aggregation]
    messages = np.moveaxis(messages, passing.node_axis, 0)
    num_nodes = passing.adjacency.num_targets
    result = np.full((num_nodes, *messages.shape[1:]), start, np.float64)
    for message, target in zip(messages, targets, strict=True):
        result[target] = combine(result[target], message)
    degrees = np.bincount(targets, minlength=num_nodes)
    if passing.aggregation is Aggregation.MEAN:
        result = (result.T / np.maximum(degrees, 1)).T
    if passing.keeps_fill:
        result = combine(result, passing.fill)
    result[degrees == 0] = passing.fill
    return np.moveaxis(result, 0, passing.node_axis)


@pytest.mark.parametrize("name", [name for name in LINES if name != "dense"])
def test_records_say_what_the_model_computes(run, rng, name):
    """Aggregated from messages, and messages from coefficients, as the records say."""
    model = load(name)
    passings = recognize(model.graph).passings
    feeds = feeds_of(model, rng)
    wanted = {
        value
        for p in passings
        for value in (p.messages, p.coefficients, p.aggregated, *p.features)
        if value is not None and value.producer() is not None and not value.is_graph_output()
    }
    model.graph.outputs.extend(sorted(wanted, key=lambda value: value.name))
    got = feeds | run(model, **feeds)

    def array(value):
        return value.const_value.numpy() if value.const_value is not None else got[value.name]

    def numbers(index):
        constant = index.numbers()
        return got[index.origin.name][index.row] if constant is None else constant

    for p in passings:
        messages, targets = array(p.messages), numbers(p.adjacency.targets)
        expected = aggregate(p, messages, targets)
        np.testing.assert_allclose(array(p.aggregated), expected, rtol=1e-5, atol=1e-6)
        if len(p.gathered) != 1 or p.edge_attributes:
            continue
        sources = numbers(p.adjacency.sources)
        rows = np.moveaxis(
            np.take(array(p.features[0]), sources, p.gathered[0].axis), p.gathered[0].axis, 0
        )
        if p.coefficients is not None:
            factor = array(p.coefficients).reshape(len(sources), -1)
            heads = factor.shape[1]
            # One factor for an edge, or one for each head: the axis behind the edges.
            lead = (len(sources), heads) if heads > 1 else (len(sources),)
            rows = rows * factor.reshape(*lead, *[1] * (rows.ndim - len(lead)))
        seen = np.moveaxis(messages, p.node_axis, 0)
        np.testing.assert_allclose(seen, rows.reshape(seen.shape), rtol=1e-6, atol=1e-7)
        if p.softmax is not None:
            shares = np.zeros((p.adjacency.num_targets, factor.shape[1]))
            np.add.at(shares, targets, factor)
            np.testing.assert_allclose(shares[np.unique(targets)], 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "features", "messages", "outputs"),
    [
        ("gcn", ["a.lin.weight"], [], []),
        ("sir", ["k.weight", "q.weight"], [], ["r.weight"]),
        ("gin", [], [], ["nn.0.weight"]),
        ("nnconv", [], ["nn.0.weight", "nn.2.weight"], []),
        ("gat", ["lin.weight"], [], []),
        ("gatv2", ["lin_l.weight", "lin_r.weight"], [], []),
        ("sage_mean", [], [], ["a.lin_l.weight"]),
        ("sheaf", ["val_27", "lin.weight"], ["maps.weight"], []),
    ],
)
def test_linear_weights_of_the_first_region(name, features, messages, outputs):
    p = recognize(load(name).graph).passings[0]

    def weights(layers):
        return [layer.inputs[1].name for layer in layers]

    assert weights(p.feature_layers) == features
    assert weights(p.message_layers) == messages
    assert weights(p.output_layers) == outputs


def test_attention_is_made_of_both_ends():
    for name, inputs in (("gat", {"sum_1", "sum_2"}), ("gatv2", {"view", "view_1"})):
        p = recognize(load(name).graph).passings[0]
        assert {one.features.name for one in p.coefficient_inputs} == inputs
        assert p.softmax.coefficients is p.coefficients
        # All of it but what makes the features is the region's own.
        assert {node.op_type for node in p.softmax.nodes} <= {node.op_type for node in p.nodes}


def test_degrees_that_layers_share_belong_to_none():
    network = recognize(load("sage_mean").graph)
    assert [node.op_type for node in network.degrees] == ["ScatterElements"]
    owned = {node for passing in network.passings for node in passing.nodes}
    assert not owned & set(network.degrees)


EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "graphs").glob("*.onnx"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_scatter_of_the_examples_has_its_place(path):
    graph = import_model(path).graph
    network = recognize(graph)
    assert network.passings
    assert network.reasons == {}
    regions = (*network.passings, *network.readouts)
    placed = {node for region in regions for node in region.nodes} | set(network.degrees)
    scatters = {node for node in graph if node.op_type.startswith("Scatter")}
    # What layers share in front of their maxima belongs to none of them.
    shared = {
        n for n in scatters - placed if all(u.node in placed for u in n.outputs[0].uses())
    }
    assert scatters <= placed | shared
