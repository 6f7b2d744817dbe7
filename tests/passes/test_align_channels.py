import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from octavo.passes.align_channels import AlignChannels, alignable_tensors
from octavo.passes.channel_noise import ChannelStatistics
from octavo.passes.constants import float_constant

NUM_CHANNELS, SPREAD = 32, 20.0
BLOCK = """g (float[1,64,32] x) => (float[1,64,8] a, float[1,64,4] b, float[1,64,4] c) {
    [norm] y = LayerNormalization(x, gamma, beta)
    [first] a0 = MatMul(y, w1)
    [bias] a = Add(b1, a0)
    [second] b = MatMul(y, w2)
    [third] c0 = MatMul(y, w3)
    [rows] c = Add(c0, b3)
}"""
GEMM = """g (float[64,32] x) => (float[64,8] a) {
    [norm] y = LayerNormalization(x, gamma)
    [first] a = Gemm<transB = 1>(y, w1, b1)
}"""
RESIDUAL = """g (float[1,64,32] x) => (float[1,64,32] z) {
    [norm] y = LayerNormalization(x, gamma, beta)
    [first] a = MatMul(y, w1)
    [add] z = Add(a, y)
}"""


def drawn(rng, **shapes):
    """Channels whose scales go from 1 to SPREAD, off center, and weights."""
    gamma = np.geomspace(1.0, SPREAD, NUM_CHANNELS).astype(np.float32)
    beta = (gamma * rng.normal(size=NUM_CHANNELS)).astype(np.float32)
    made = {k: rng.normal(size=shape).astype(np.float32) for k, shape in shapes.items()}
    return {"gamma": rng.permutation(gamma), "beta": beta, **made}


def with_tensor(model):
    """The model with what the normalization makes as an output too."""
    norm = next(node for node in model.graph if node.op_type == "LayerNormalization")
    model.graph.outputs.append(norm.outputs[0])
    return model


def measured(run, model, x):
    """What each channel of y holds, and y itself."""
    y = run(with_tensor(model.clone()), x=x)["y"].reshape(-1, NUM_CHANNELS)
    return {"y": ChannelStatistics(y.min(0), y.max(0), np.square(y).mean(0))}, y


def rounded(y):
    """Quantized to 8 bits with one scale and one zero point, and back."""
    low, high = min(0.0, float(y.min())), max(0.0, float(y.max()))
    scale = (high - low) / 255
    zero_point = np.rint(-low / scale)
    return (np.clip(np.rint(y / scale) + zero_point, 0, 255) - zero_point) * scale


def decibels(exact, noisy):
    return 10 * np.log10(np.square(exact).sum() / np.square(exact - noisy).sum())


def test_outputs_stay_and_biases_take_the_shift(build, run, body, rng):
    weights = drawn(rng, w1=(32, 8), b1=(8,), w2=(32, 4), w3=(32, 4), b3=(64, 1))
    weights["b3"] = rng.normal(size=(1, 64, 4)).astype(np.float32)
    model = build(BLOCK, **weights)
    x = rng.normal(size=(1, 64, 32)).astype(np.float32)
    before = run(model, x=x)
    statistics, _ = measured(run, model, x)
    assert [value.name for value in alignable_tensors(model.graph)] == ["y"]
    align = AlignChannels(statistics)
    assert align(model).modified
    # An Add of their own for the layer without a bias, and for the one with a bias per row.
    operators = [node.op_type for node in model.graph]
    assert operators == [
        "LayerNormalization", "MatMul", "Add", "MatMul", "Add", "MatMul", "Add", "Add",
    ]  # fmt: skip
    for name, array in run(model, x=x).items():
        np.testing.assert_allclose(
            array, before[name], rtol=0, atol=1e-5 * np.abs(before[name]).max()
        )
    assert not align(model).modified


def test_every_channel_fills_the_same_range(build, run, rng):
    model = build(
        GEMM, **{k: v for k, v in drawn(rng, w1=(8, 32), b1=(8,)).items() if k != "beta"}
    )
    x = rng.normal(size=(64, 32)).astype(np.float32)
    before = run(model, x=x)["a"]
    statistics, _ = measured(run, model, x)
    assert AlignChannels(statistics)(model).modified
    np.testing.assert_allclose(
        run(model, x=x)["a"], before, rtol=0, atol=1e-5 * np.abs(before).max()
    )
    _, y = measured(run, model, x)
    ends = np.stack([y.min(0), y.max(0)])
    np.testing.assert_allclose(ends, np.broadcast_to(ends[:, :1], ends.shape), rtol=1e-4)


def test_eight_bits_gain_six_decibels_where_channels_differ_twentyfold(build, run, rng):
    """One scale for the aligned tensor, seen as the tensor that was there before."""
    model = build(BLOCK, **drawn(rng, w1=(32, 8), b1=(8,), w2=(32, 4), w3=(32, 4), b3=(4,)))
    x = rng.normal(size=(1, 64, 32)).astype(np.float32)
    statistics, exact = measured(run, model, x)
    norm = next(iter(model.graph))
    gamma, beta = (float_constant(value) for value in norm.inputs[1:3])
    AlignChannels(statistics)(model)
    _, aligned = measured(run, model, x)
    ratio = gamma / float_constant(norm.inputs[1])
    shift = float_constant(norm.inputs[2]) * ratio - beta
    seen = rounded(aligned) * ratio - shift
    assert decibels(exact, seen) >= decibels(exact, rounded(exact)) + 6.0


@settings(max_examples=25, deadline=None)
@given(
    low=st.lists(st.floats(-100, 100, width=32), min_size=4, max_size=4),
    width=st.lists(st.floats(0, 50, width=32), min_size=4, max_size=4),
)
@example(low=[4.0, 0.0, 0.0, 0.0], width=[3e-16, 0.0, 0.0, 0.0])  # no range is left
def test_ranges_of_any_kind_leave_a_finite_model(low, width):
    from octavo.passes.align_channels import _ratio_and_shift

    low, width = np.array(low), np.array(width)
    high = low + width
    ratio, shift = _ratio_and_shift(ChannelStatistics(low, high, np.square(low)))
    if (high - low).mean() < 1e-30:  # nothing is left to align
        assert (ratio == 1).all()
        assert not shift.any()
        return
    assert (ratio > 0).all()
    np.testing.assert_allclose(ratio.mean(), 1.0)
    aligned = (low + shift) / ratio
    # All channels start where the others do.
    np.testing.assert_allclose(
        aligned, np.full(4, aligned[0]), rtol=0, atol=1e-9 * (1 + np.abs(shift / ratio).max())
    )


def test_a_tensor_with_another_reader_stays(build, run, rng):
    model = build(RESIDUAL, **drawn(rng, w1=(32, 32)))
    x = rng.normal(size=(1, 64, 32)).astype(np.float32)
    statistics, _ = measured(run, model, x)
    assert alignable_tensors(model.graph) == []
    assert not AlignChannels(statistics)(model).modified


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_tensor_that_does_not_vary_stays(build, rng, value):
    model = build(BLOCK, **drawn(rng, w1=(32, 8), b1=(8,), w2=(32, 4), w3=(32, 4), b3=(4,)))
    same = np.full(NUM_CHANNELS, value)
    assert not AlignChannels({"y": ChannelStatistics(same, same, same)})(model).modified
