"""Relevances that are carried back from an output."""

import numpy as np
import onnx_ir as ir
import pytest

from octavo.errors import ModelError
from octavo.passes.gradients.relevance import RELEVANCES, STABILIZER, add_relevances

CNN = """g (float[1,3,12,12] x) => (float[1,5] y) {
    a = Conv<pads = [1,1,1,1]>(x, w1, b1)
    b = Relu(a)
    c = MaxPool<kernel_shape = [2,2], strides = [2,2]>(b)
    d = Conv<group = 8, kernel_shape = [3,3], pads = [1,1,1,1]>(c, w2, b2)
    e = Relu(d)
    f = Conv<kernel_shape = [1,1]>(e, w3, b3)
    g1 = Add(c, f)
    h = Relu(g1)
    i = GlobalAveragePool(h)
    j = Flatten(i)
    y = Gemm<transB = 1>(j, w4, b4)
}"""
CNN_SHAPES = {
    "w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 1, 3, 3), "b2": (8,), "w3": (8, 8, 1, 1),
    "b3": (8,), "w4": (5, 8), "b4": (5,),
}  # fmt: skip
ATTENTION = """g (float[1,6,8] x) => (float[1,6,4] y) {
    n = LayerNormalization(x, gamma, beta)
    q0 = MatMul(n, wq)
    q = Add(q0, bq)
    k0 = MatMul(n, wk)
    k = Transpose<perm = [0, 2, 1]>(k0)
    v0 = MatMul(n, wv)
    v = Add(v0, bv)
    s0 = MatMul(q, k)
    s1 = Mul(s0, scale)
    s = Softmax(s1)
    o0 = MatMul(s, v)
    o1 = MatMul(o0, wo)
    o = Add(o1, bo)
    r = Add(x, o)
    m = LayerNormalization(r, gamma, beta)
    u0 = MatMul(m, w1)
    u1 = Add(u0, b1)
    u = Gelu(u1)
    t0 = MatMul(u, w2)
    t1 = Add(b2, t0)
    t = Add(r, t1)
    y = MatMul(t, wy)
}"""
ATTENTION_SHAPES = {
    "gamma": (8,), "beta": (8,), "wq": (8, 8), "bq": (8,), "wk": (8, 8), "wv": (8, 8),
    "bv": (8,), "scale": (), "wo": (8, 8), "bo": (8,), "w1": (8, 16), "b1": (16,),
    "w2": (16, 8), "b2": (8,), "wy": (8, 4),
}  # fmt: skip


def relevances(build, run, graph, weights, wanted, **feeds):
    """Relevances of some values, starting with 1 at the largest of the first row."""
    model = build(graph, **weights)
    output = model.graph.outputs[0]
    exact = run(model, **feeds)[output.name]
    start = ir.val("start", output.dtype, output.shape)
    model.graph.inputs.append(start)
    known = {value.name: value for value in model.graph.inputs}
    known |= dict(model.graph.initializers)
    known |= {value.name: value for node in model.graph for value in node.outputs}
    found = add_relevances(model.graph, {output: start}, [known[name] for name in wanted])
    names = {value.name: relevance.name for value, relevance in found.items()}
    model.graph.outputs[:] = list(found.values())
    hot = np.zeros(exact.shape, np.float32)
    hot.reshape(-1)[np.argmax(exact.reshape(-1, exact.shape[-1])[0])] = 1.0
    arrays = run(model, start=hot, **feeds)
    return {name: arrays[relevance] for name, relevance in names.items()}


def drawn(rng, shapes):
    return {
        name: (rng.normal(size=shape) * (0.2 if name[0] == "b" else 0.5)).astype(np.float32)
        for name, shape in shapes.items()
    }


def test_a_layer_hands_out_what_each_term_of_its_sum_contributed(build, run):
    """y = 2 * 3 + 4 * 1 - 1 * 2 + 2 = 10 with the bias: shares of 0.6, 0.4, -0.2 and 0.2."""
    graph = "g (float[1,3] x) => (float[1,1] y) { y = Gemm(x, w, b) }"
    weights = {
        "w": np.array([[3], [1], [2]], np.float32), "b": np.array([2], np.float32)
    }  # fmt: skip
    x = np.array([[2, 4, -1]], np.float32)
    found = relevances(build, run, graph, weights, ["x", "b"], x=x)
    # The stabilizer keeps its share, which is the only error.
    np.testing.assert_allclose(found["x"], [[0.6, 0.4, -0.2]], rtol=1.01 * STABILIZER)
    np.testing.assert_allclose(found["b"], [0.2], rtol=1.01 * STABILIZER)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("graph", "shapes"), [(CNN, CNN_SHAPES), (ATTENTION, ATTENTION_SHAPES)]
)
def test_no_relevance_is_lost(build, run, graph, shapes, seed):
    """Input and biases together get within 1% of what the output started with."""
    rng = np.random.default_rng(seed)
    weights = drawn(rng, shapes)
    x = rng.normal(size=(1, 6, 8) if "Softmax" in graph else (1, 3, 12, 12))
    wanted = ["x", *(name for name in weights if name[0] == "b" and name != "bq")]
    found = relevances(build, run, graph, weights, wanted, x=x.astype(np.float32))
    assert len(found) == len(wanted)
    total = sum(float(array.sum(dtype=np.float64)) for array in found.values())
    assert total == pytest.approx(1.0, abs=0.01)
    # Not by one term having it all.
    assert np.count_nonzero(np.abs(found["x"]) > 1e-4) > 8


def test_queries_and_keys_get_none(build, run):
    rng = np.random.default_rng(0)
    weights = drawn(rng, ATTENTION_SHAPES)
    x = rng.normal(size=(1, 6, 8)).astype(np.float32)
    found = relevances(build, run, ATTENTION, weights, ["q0", "k0", "v0"], x=x)
    assert list(found) == ["v0"]


def test_a_gate_gets_none(build, run):
    graph = """g (float[1,4,3,3] x, float[1,4,1,1] z) => (float[1,4] y) {
        s = Sigmoid(z)
        a = Mul(s, x)
        b = GlobalAveragePool(a)
        y = Flatten(b) }"""
    x = np.arange(1, 37, dtype=np.float32).reshape(1, 4, 3, 3)
    z = np.zeros((1, 4, 1, 1), np.float32)
    found = relevances(build, run, graph, {}, ["x", "z"], x=x, z=z)
    assert list(found) == ["x"]
    assert float(found["x"].sum()) == pytest.approx(1.0, abs=1e-3)


def test_two_computed_factors_share_and_a_constant_one_gets_nothing(build, run):
    graph = """g (float[1,4] x, float[1,4] z) => (float[1,4] y) {
        a = Mul(x, z)
        b = Mul(a, c)
        y = Div(b, z) }"""
    x, z = np.full((1, 4), 3, np.float32), np.full((1, 4), -2, np.float32)
    weights = {"c": np.full((1, 4), 5, np.float32)}
    found = relevances(build, run, graph, weights, ["x", "z", "c"], x=x, z=z)
    np.testing.assert_array_equal(found["x"], [[0.5, 0, 0, 0]])
    np.testing.assert_array_equal(found["z"], [[0.5, 0, 0, 0]])
    assert "c" not in found


def test_an_operator_without_a_rule_is_named(build, run):
    assert "Round" not in RELEVANCES
    graph = "g (float[1,4] x) => (float[1,4] y) { [nearest] y = Round(x) }"
    with pytest.raises(ModelError, match="Round 'nearest'"):
        relevances(build, run, graph, {}, ["x"], x=np.ones((1, 4), np.float32))
