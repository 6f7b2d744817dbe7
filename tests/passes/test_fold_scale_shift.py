import numpy as np
import pytest

from octavo.passes.fold_scale_shift import FoldScaleShift

GRAPH = """g (float[1,3,5,5] x) => (float[1,4,5,5] y) {
    [conv] t = Conv(x, w, b)
    [op] y = OPERATION
}"""


@pytest.mark.parametrize(
    "operation", ["Mul(t, c)", "Mul(c, t)", "Div(t, c)", "Add(t, c)", "Sub(t, c)", "Sub(c, t)"]
)
@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1), (), (1,)])
def test_constants_fold_into_the_convolution(build, run, rng, operation, shape):
    model = build(
        GRAPH.replace("OPERATION", operation),
        w=rng.normal(size=(4, 3, 1, 1)).astype(np.float32),
        b=rng.normal(size=4).astype(np.float32),
        c=rng.uniform(0.5, 2.0, size=shape).astype(np.float32),
    )
    x = rng.normal(size=(1, 3, 5, 5)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert FoldScaleShift()(model).modified
    assert [node.op_type for node in model.graph] == ["Conv"]
    assert np.abs(run(model, x=x)["y"] - before).max() < 1e-5 * np.abs(before).max()
    assert not FoldScaleShift()(model).modified


@pytest.mark.parametrize(
    ("operation", "shape"),
    [("Div(c, t)", ()), ("Mul(t, c)", (5,)), ("Add(t, c)", (1, 4, 5, 5))],
)
def test_what_is_not_one_factor_per_channel_stays(build, rng, operation, shape):
    model = build(
        GRAPH.replace("OPERATION", operation),
        w=rng.normal(size=(4, 3, 1, 1)).astype(np.float32),
        b=rng.normal(size=4).astype(np.float32),
        c=rng.uniform(0.5, 2.0, size=shape).astype(np.float32),
    )
    assert not FoldScaleShift()(model).modified


def test_matmul_takes_a_factor_but_no_offset(build, run, rng):
    graph = """g (float[1,6,4] x) => (float[1,6,5] y) {
        [mm] p = MatMul(x, w)  [scale] s = Mul(p, c)  [bias] y = Add(s, d)
    }"""
    weights = {
        "w": rng.normal(size=(4, 5)).astype(np.float32),
        "c": np.float32(0.125),
        "d": rng.normal(size=5).astype(np.float32),
    }
    model = build(graph, **weights)
    x = rng.normal(size=(1, 6, 4)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert FoldScaleShift()(model).modified
    assert [node.op_type for node in model.graph] == ["MatMul", "Add"]
    np.testing.assert_array_equal(run(model, x=x)["y"], before)  # 1/8 is exact
