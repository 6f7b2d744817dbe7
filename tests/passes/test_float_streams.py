"""Which tensors around normalizations stay in float."""

import numpy as np
from tests.passes.quantized import DEFAULT, UNIT, quantize, regions

from octavo.passes.insert_quantizers import InsertQuantizers
from octavo.passes.quantizer_options import QuantizerOptions

POST_NORM = """g (float[1,6,8] x) => (float[1,6,8] y) {
    [first] n = LayerNormalization<axis=-1>(x, g)
    [mm1] a = MatMul(n, w) [bias1] b = Add(a, c) [res1] r = Add(b, n)
    [norm1] m = LayerNormalization<axis=-1>(r, g)
    [mm2] d = MatMul(m, w) [res2] s = Add(m, d)
    [norm2] y = LayerNormalization<axis=-1>(s, g)
}"""


def post_norm(build, rng):
    return build(
        POST_NORM,
        g=rng.normal(size=8).astype(np.float32),
        c=rng.normal(size=8).astype(np.float32),
        w=rng.normal(size=(8, 8)).astype(np.float32),
    )


def test_normalization_and_its_residual_sums_stay_in_float(build, run, rng):
    model = post_norm(build, rng)
    assert regions(model) == [
        ["first"],
        ["mm1", "bias1", "res1", "norm1"],
        ["mm2", "res2", "norm2"],
    ]
    quantize(model, n=(-3.0, 3.0), m=(-3.0, 3.0))
    inputs = {
        node.name: [value.name for value in node.inputs]
        for node in model.graph
        if node.op_type in ("MatMul", "Add")
    }
    # The product reads integers; the residual sum reads what the normalization made.
    assert inputs["mm2"][0] == "m_dequantized"
    assert inputs["res2"] == ["m", "d"]
    # What an integer kernel makes exists in integers only.
    assert inputs["res1"] == ["b", "n_dequantized"]
    # The output is a float32 sum already; rounding it would only lose.
    assert model.graph.outputs[0].producer().op_type == "LayerNormalization"
    run(model, x=rng.normal(size=(1, 6, 8)).astype(np.float32))


def test_everything_is_rounded_without_float_normalization(build, run, rng):
    options = QuantizerOptions(float_normalization=False)
    model = post_norm(build, rng)
    assert regions(model, options) == [
        ["first"],
        ["mm1", "bias1", "res1"],
        ["norm1"],
        ["mm2", "res2"],
        ["norm2"],
    ]
    quantize(model, options, n=(-3.0, 3.0), m=(-3.0, 3.0))
    assert [node.op_type for node in model.graph].count("QuantizeLinear") == 6
    run(model, x=rng.normal(size=(1, 6, 8)).astype(np.float32))


def test_a_tensor_that_was_not_calibrated_stays_float(build, run, rng):
    graph = """g (float[1,2,4,4] x) => (float[1,2,4,4] y) {
        [a] p = Conv(x, w) [r] q = Relu(p) [b] y = Conv(q, w)
    }"""
    model = build(graph, w=rng.normal(size=(2, 2, 1, 1)).astype(np.float32))
    assert InsertQuantizers({"x": UNIT, "q": (0.0, 2.0)}, DEFAULT)(model).modified
    assert [node.op_type for node in model.graph].count("QuantizeLinear") == 2
    run(model, x=np.zeros((1, 2, 4, 4), np.float32))


PRE_NORM = """g (float[1,6,8] x, float[1,6,8] p) => (float[1,6,8] y) {
    [embed] s = Add(x, p)
    [norm1] n = LayerNormalization<axis=-1>(s, g) [mm1] a = MatMul(n, w) [res1] t = Add(s, a)
    [norm2] m = LayerNormalization<axis=-1>(t, g) [mm2] b = MatMul(m, w) [res2] u = Add(t, b)
    [norm3] y = LayerNormalization<axis=-1>(u, g)
}"""


def test_residual_stream_between_normalizations_stays_in_float(build, run, rng):
    model = build(
        PRE_NORM,
        g=rng.normal(size=8).astype(np.float32),
        w=rng.normal(size=(8, 8)).astype(np.float32),
    )
    assert regions(model) == [
        ["embed"],
        ["norm1"],
        ["mm1", "res1"],
        ["norm2"],
        ["mm2", "res2", "norm3"],
    ]
    quantize(model, n=(-3.0, 3.0), m=(-3.0, 3.0))
    rounded = [n.inputs[0].name for n in model.graph if n.op_type == "QuantizeLinear"]
    assert sorted(rounded) == ["m", "n", "p", "x"]
    feeds = {name: rng.normal(size=(1, 6, 8)).astype(np.float32) for name in ("x", "p")}
    run(model, **feeds)


def test_a_stream_that_a_product_reads_is_rounded(build, rng):
    graph = PRE_NORM.replace("mm2] b = MatMul(m, w)", "mm2] b = MatMul(t, w)")
    model = build(
        graph,
        g=rng.normal(size=8).astype(np.float32),
        w=rng.normal(size=(8, 8)).astype(np.float32),
    )
    quantize(model)
    rounded = [n.inputs[0].name for n in model.graph if n.op_type == "QuantizeLinear"]
    assert "t" in rounded
