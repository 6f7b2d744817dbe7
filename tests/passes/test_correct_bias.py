import numpy as np

from octavo.passes.correct_bias import CorrectBias, bias_tensor
from octavo.passes.fused_regions import find_regions

GRAPH = """g (float[1,6,4] x) => (float[1,6,3] y) {
    [mm] p = MatMul(x, w) [bias] q = Add(p, c) [fc] y = MatMul(q, v)
}"""


def test_mean_error_is_taken_out_of_the_bias(build, run, rng):
    model = build(
        GRAPH,
        w=rng.normal(size=(4, 5)).astype(np.float32),
        c=rng.normal(size=5).astype(np.float32),
        v=rng.normal(size=(5, 3)).astype(np.float32),
    )
    tensors = [bias_tensor(region) for region in find_regions(model.graph, ())]
    assert [tensor.name if tensor else None for tensor in tensors] == ["q", None]
    x = rng.normal(size=(1, 6, 4)).astype(np.float32)
    model.graph.outputs.append(tensors[0])
    before = run(model, x=x)["q"]
    error = np.array([0.5, -1.0, 0.0, 2.0, 0.25])
    assert CorrectBias({"q": error})(model).modified
    # Rounding of two float32 sums.
    np.testing.assert_allclose(run(model, x=x)["q"], before - error, atol=1e-5)
    assert not CorrectBias({"q": np.zeros(5)})(model).modified


def test_convolution_without_a_bias_is_skipped(build):
    model = build(
        "g (float[1,2,4,4] x) => (float[1,2,4,4] y) { [c] y = Conv(x, w) }",
        w=np.ones((2, 2, 1, 1), np.float32),
    )
    assert bias_tensor(find_regions(model.graph, ())[0]) is None
