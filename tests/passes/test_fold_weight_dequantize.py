import numpy as np
import pytest

from octavo.passes.fold_weight_dequantize import FoldWeightDequantize

GRAPH = """g (float[2,4] x) => (float[2,3] y) {
    [weight] w = DequantizeLinear<axis=AXIS>(q, s, z)
    [mm] y = MatMul(x, w)
}"""


def stored(rng, zero_point):
    return {
        "q": rng.integers(-127, 128, (4, 3)).astype(np.int8),
        "s": rng.uniform(0.01, 0.02, 3).astype(np.float32),
        "z": np.full(3, zero_point, np.int8),
    }


def test_symmetric_weight_per_output_channel_stays(build, rng):
    model = build(GRAPH.replace("AXIS", "1"), **stored(rng, 0))
    assert not FoldWeightDequantize()(model).modified


def test_weight_with_a_zero_point_becomes_float(build, run, rng):
    model = build(GRAPH.replace("AXIS", "1"), **stored(rng, 5))
    x = rng.normal(size=(2, 4)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert FoldWeightDequantize()(model).modified
    assert [node.op_type for node in model.graph] == ["MatMul"]
    np.testing.assert_array_equal(run(model, x=x)["y"], before)
    assert not FoldWeightDequantize()(model).modified


def test_scales_along_inputs_become_float(build, rng):
    weights = stored(rng, 0)
    weights["s"], weights["z"] = np.ones(4, np.float32), np.zeros(4, np.int8)
    assert FoldWeightDequantize()(build(GRAPH.replace("AXIS", "0"), **weights)).modified


@pytest.mark.parametrize(
    ("use", "stays"),
    [("Add(m, b)", 1), ("Gemm(xd, w, b)", 1), ("Mul(m, b)", 0), ("Gemm(b, w)", 0)],
)
def test_a_stored_bias_of_a_quantized_model_stays(build, rng, use, stays):
    graph = f"""g (float[2,4] x) => (float[2,3] y) {{
        xq = QuantizeLinear(x, xs)
        xd = DequantizeLinear(xq, xs)
        w = DequantizeLinear<axis=1>(q, s, z)
        b = DequantizeLinear(bq, bs)
        m = MatMul(xd, w)
        y = {use}
    }}"""
    bias = rng.integers(-999, 999, (2, 4) if use == "Gemm(b, w)" else (2, 3))
    model = build(
        graph, **stored(rng, 0), xs=np.float32(0.1), bq=bias.astype(np.int32),
        bs=np.float32(0.001))
    FoldWeightDequantize()(model)
    assert sum(node.op_type == "DequantizeLinear" for node in model.graph) == 2 + stays


@pytest.mark.parametrize(
    ("axis", "use", "stays"),
    [(0, "MatMul(w, xd)", 1), (1, "MatMul(w, xd)", 0), (0, "Mul(w, xd)", 0)],
)
def test_a_scale_for_each_row_of_a_left_matrix_stays(build, rng, axis, use, stays):
    graph = f"""g (float[3,3] x) => (float[3,3] y) {{
        xq = QuantizeLinear(x, xs)
        xd = DequantizeLinear(xq, xs)
        w = DequantizeLinear<axis={axis}>(q, s, z)
        y = {use}
    }}"""
    weights = {**stored(rng, 0), "q": rng.integers(-127, 128, (3, 3)).astype(np.int8)}
    model = build(graph, **weights, xs=np.float32(0.1))
    FoldWeightDequantize()(model)
    assert sum(node.op_type == "DequantizeLinear" for node in model.graph) == 1 + stays
