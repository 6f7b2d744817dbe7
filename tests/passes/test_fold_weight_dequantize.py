import numpy as np

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
