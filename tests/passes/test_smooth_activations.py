import numpy as np
import pytest

from octavo.passes.channel_noise import ChannelStatistics
from octavo.passes.constants import float_constant
from octavo.passes.smooth_activations import SmoothActivations, smoothable_tensors

ONLY_LAYERS = """g (float[1,6,16] x) => (float[1,6,8] a, float[1,6,4] b) {
    [norm] y = LayerNormalization(x, gamma, beta)
    [first] a = MatMul(y, w1)
    [second] b = MatMul(y, w2)
}"""
RESIDUAL = """g (float[1,6,16] x) => (float[1,6,16] z) {
    [norm] y = LayerNormalization(x, gamma, beta)
    [first] a = MatMul(y, w1)
    [add] z = Add(a, y)
}"""
OUTLIER = 5


def weights(rng, **shapes):
    gamma = np.ones(16, np.float32)
    gamma[OUTLIER] = 30.0
    beta = rng.normal(size=16).astype(np.float32)
    made = {k: rng.normal(size=shape).astype(np.float32) for k, shape in shapes.items()}
    return {"gamma": gamma, "beta": beta, **made}


def statistics():
    largest = np.full(16, 2.5)
    largest[OUTLIER] = 75.0
    return {"y": ChannelStatistics(-largest, largest, np.square(largest / 2.5))}


def test_the_normalization_takes_the_factors_when_only_layers_read_it(build, run, rng):
    model = build(ONLY_LAYERS, **weights(rng, w1=(16, 8), w2=(16, 4)))
    x = rng.normal(size=(1, 6, 16)).astype(np.float32)
    before = run(model, x=x)
    assert [value.name for value in smoothable_tensors(model.graph)] == ["y"]
    smooth = SmoothActivations(statistics())
    assert smooth(model).modified
    assert smooth.multiplications == ()
    assert [node.op_type for node in model.graph] == ["LayerNormalization", "MatMul", "MatMul"]
    norm, first, _ = model.graph
    assert float_constant(norm.inputs[1])[OUTLIER] < 10.0
    assert np.abs(float_constant(first.inputs[1])[OUTLIER]).max() > 3.0
    for name, array in run(model, x=x).items():
        # One factor is rounded twice, products of 16 terms once more.
        np.testing.assert_allclose(
            array, before[name], rtol=0, atol=2e-6 * np.abs(before[name]).max()
        )
    # What the statistics describe is not there any more.
    assert not smooth(model).modified


def test_another_reader_gets_the_tensor_as_it_was(build, run, rng):
    model = build(RESIDUAL, **weights(rng, w1=(16, 16)))
    x = rng.normal(size=(1, 6, 16)).astype(np.float32)
    before = run(model, x=x)["z"]
    smooth = SmoothActivations(statistics(), float_tensors=["y"])
    assert smooth(model).modified
    norm, mul, first, add = model.graph
    assert smooth.multiplications == (mul.name,)
    assert (mul.op_type, first.inputs[0]) == ("Mul", mul.outputs[0])
    assert norm.outputs[0] in add.inputs
    np.testing.assert_allclose(
        run(model, x=x)["z"], before, rtol=0, atol=2e-6 * np.abs(before).max()
    )
    assert not smooth(model).modified


def test_a_residual_that_is_rounded_is_left_alone(build, rng):
    model = build(RESIDUAL, **weights(rng, w1=(16, 16)))
    assert not SmoothActivations(statistics())(model).modified


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm_in_both_layouts(build, run, rng, transposed):
    graph = f"""g (float[6,16] x) => (float[6,8] a) {{
        [norm] y = LayerNormalization(x, gamma)
        [first] a = Gemm<transB={transposed}>(y, w1, b1)
    }}"""
    shape = (8, 16) if transposed else (16, 8)
    model = build(
        graph, **{k: v for k, v in weights(rng, w1=shape, b1=(8,)).items() if k != "beta"}
    )
    x = rng.normal(size=(6, 16)).astype(np.float32)
    before = run(model, x=x)["a"]
    assert SmoothActivations(statistics())(model).modified
    after = run(model, x=x)["a"]
    np.testing.assert_allclose(after, before, rtol=0, atol=2e-6 * np.abs(before).max())


def test_a_normalization_over_two_axes_is_left_alone(build, rng):
    graph = ONLY_LAYERS.replace("LayerNormalization(", "LayerNormalization<axis=1>(")
    given = weights(rng, w1=(16, 8), w2=(16, 4))
    given["gamma"] = np.tile(given["gamma"], (6, 1))
    given["beta"] = np.tile(given["beta"], (6, 1))
    assert smoothable_tensors(build(graph, **given).graph) == []


def test_even_channels_are_left_alone(build, rng):
    model = build(ONLY_LAYERS, **weights(rng, w1=(16, 8), w2=(16, 4)))
    even = ChannelStatistics(-np.ones(16), np.ones(16), np.full(16, 0.3))
    assert not SmoothActivations({"y": even})(model).modified


def test_layers_kept_in_float_ask_for_nothing(build, rng):
    model = build(ONLY_LAYERS, **weights(rng, w1=(16, 8), w2=(16, 4)))
    _, first, second = model.graph
    assert len(smoothable_tensors(model.graph, [first])) == 1
    assert smoothable_tensors(model.graph, [first, second]) == []
