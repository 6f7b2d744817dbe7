"""Dimensions counted at run time: found, followed, refused where they mix, opened again."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from examples.graphs.networks import (
    LAYERS,
    NUM_ATTRIBUTES,
    Sizes,
    node_classifier,
    random_weights,
    weight_shapes,
)
from examples.graphs.whole_graph_networks import graph_classifier, graph_classifier_shapes

from octavo.compiler.importer import import_model
from octavo.errors import ModelError
from octavo.passes.message_passing.counted_axes import count_of_index, counted_axes
from octavo.passes.message_passing.counts import counts_of
from octavo.passes.message_passing.find import recognize
from octavo.passes.message_passing.open_counts import open_counts
from octavo.passes.prepare import prepare

MAXIMA = {"nodes": 40, "edges": 150}
NUM_NODES, NUM_EDGES, NUM_GRAPHS = 23, 61, 4
ANY_NUMBER = Sizes(None, None, num_features=6, hidden=8)


def network(name, style="elements"):
    rng = np.random.default_rng(3)
    if name.startswith("pool_"):
        weights = random_weights(graph_classifier_shapes(ANY_NUMBER), rng)
        return graph_classifier(weights, ANY_NUMBER, NUM_GRAPHS, name.removeprefix("pool_"))
    weights = random_weights(weight_shapes(name, ANY_NUMBER), rng)
    return node_classifier(name, weights, ANY_NUMBER, style=style)


def inputs_of(model):
    rng = np.random.default_rng(4)
    made = {
        "x": rng.standard_normal((NUM_NODES, ANY_NUMBER.num_features), np.float32),
        "edge_index": rng.integers(0, NUM_NODES, (2, NUM_EDGES)),
        "edge_weight": rng.random(NUM_EDGES, np.float32),
        "edge_attr": rng.random((NUM_EDGES, NUM_ATTRIBUTES), np.float32),
        "batch": rng.integers(0, NUM_GRAPHS, NUM_NODES),
    }
    return {value.name: made[value.name] for value in model.graph.input}


def imported(model, folder, **options):
    onnx.save(model, folder / "net.onnx")
    return import_model(folder / "net.onnx", **options)


def run(proto, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    return session.run(None, inputs)[0]


@pytest.mark.parametrize("name", [*LAYERS, "pool_sum", "pool_mean", "pool_max"])
def test_opened_again_a_model_computes_what_was_exported(name, tmp_path):
    model = network(name)
    inputs, padded = inputs_of(model), imported(model, tmp_path, maxima=MAXIMA)
    assert [c.input for c in counts_of(padded.graph)] == ["nodes", "edges"]
    for changed in (padded, prepare(padded.clone())):
        opened = ir.to_proto(open_counts(changed))
        onnx.checker.check_model(opened)
        assert [value.name for value in opened.graph.input] == list(inputs)
        np.testing.assert_allclose(run(opened, inputs), run(model, inputs), rtol=0, atol=1e-6)


def test_indices_know_their_counts(tmp_path):
    graph = imported(network("pool_mean"), tmp_path, maxima=MAXIMA).graph
    known, network_found = counted_axes(graph), recognize(graph)
    (passing,), (readout,) = network_found.passings, network_found.readouts
    ends = (passing.adjacency.sources, passing.adjacency.targets, readout.index)
    assert [count_of_index(end, known).dimension for end in ends] == [
        "edges",
        "edges",
        "nodes",
    ]
    assert known[readout.features].axis == 0
    assert known[readout.features].count.dimension == "nodes"
    assert readout.pooled not in known


def text(body, inputs="float[N,4] x, int64[2,E] edge_index", output="float[a,b] y"):
    return onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21]> g ({inputs}) => ({output}) {{ {body} }}'
    )


MIXING = {
    "all rows added": (
        "axes = Constant<value_ints=[0]>() y = ReduceSum(x, axes)",
        "ReduceSum",
    ),
    "softmax over rows": ("y = Softmax<axis=0>(x)", "Softmax"),
    "rows after rows": ("y = Concat<axis=0>(x, x)", "Concat"),
    "rows side by side": ("s = Constant<value_ints=[1,-1]>() y = Reshape(x, s)", "Reshape"),
    "mean over all rows": (
        "n = Shape<start=0,end=1>(x) f = Cast<to=1>(n) y = Div(x, f)",
        "computes with the size",
    ),
    "one row for all": ("i = Constant<value_int=0>() y = Gather<axis=0>(x, i)", "Gather"),
    "the last rows": (
        "b = Constant<value_ints=[-3]>() e = Constant<value_ints=[9999]>()"
        " a = Constant<value_ints=[0]>() y = Slice(x, b, e, a)",
        None,
    ),
    "rows with each other": ("t = Transpose<perm=[1,0]>(x) y = MatMul(x, t)", "MatMul"),
    "rows from the end": (
        "b = Constant<value_ints=[-1]>() e = Constant<value_ints=[-9999]>()"
        " a = Constant<value_ints=[0]>() y = Slice(x, b, e, a, b)",
        "Slice",
    ),
    "running sums": ("a = Constant<value_int=0>() y = CumSum(x, a)", "CumSum"),
    "the size itself": (
        "n = Shape<start=0,end=1>(x) y = Cast<to=1>(n)",
        "computes with the size",
    ),
}


@pytest.mark.parametrize("what", MIXING)
def test_what_mixes_rows_is_refused_in_one_line(what, tmp_path):
    body, message = MIXING[what]
    with pytest.raises(ModelError, match=message) as error:
        imported(text(body), tmp_path, shapes={"edge_index": (2, 9)}, maxima={"N": 20})
    assert "'N'" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_model_of_one_size_is_refused(tmp_path):
    body = "c = Constant<value_floats=[1.0,2.0,3.0,4.0,5.0]>() y = Mul(x, c)"
    with pytest.raises(ModelError, match="'N' cannot have another size"):
        imported(text(body, "float[N] x", "float[N] y"), tmp_path, maxima={"N": 5})


def test_the_input_that_counts_has_a_name_of_its_own(tmp_path):
    model = text("E = Neg(x)  y = Abs(E)", "float[E,4] x", "float[E,4] y")
    (count,) = counts_of(imported(model, tmp_path, maxima={"E": 7}).graph)
    assert (count.dimension, count.input, count.inputs) == ("E", "E_1", {"x": 0})
    assert count.outputs == {"y": 0}
