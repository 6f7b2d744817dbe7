import numpy as np
import pytest

from octavo.passes.channel_noise import ChannelStatistics
from octavo.passes.split_hidden_channels import SplitHiddenChannels, hidden_tensors

WIDTH, HIDDEN = 24, 256
FEED_FORWARD = """g (float[1,6,24] x) => (float[1,6,24] y) {
    [up] a = MatMul(x, w1)
    [up_bias] b = Add(b1, a)
    [act] h = Gelu(b)
    [down] c = MatMul(h, w2)
    [down_bias] d = Add(c, b2)
    [add] y = Add(d, x)
}"""
OUTLIERS = (17, 200)


def weights(rng):
    w1 = (0.2 * rng.normal(size=(WIDTH, HIDDEN))).astype(np.float32)
    w1[:, OUTLIERS] *= 40.0
    return {
        "w1": w1,
        "b1": rng.normal(size=HIDDEN).astype(np.float32),
        "w2": rng.normal(size=(HIDDEN, WIDTH)).astype(np.float32),
        "b2": rng.normal(size=WIDTH).astype(np.float32),
    }


def statistics(name="h"):
    high = np.full(HIDDEN, 2.0)
    high[list(OUTLIERS)] = 80.0
    return {name: ChannelStatistics(np.full(HIDDEN, -0.17), high, np.square(high / 4.0))}


def test_the_function_stays_and_the_outliers_have_their_own_products(build, run, rng):
    model = build(FEED_FORWARD, **weights(rng))
    x = rng.normal(size=(1, 6, WIDTH)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert [value.name for value in hidden_tensors(model.graph)] == ["h"]
    split = SplitHiddenChannels(statistics())
    assert split(model).modified
    by_name = {node.name: node for node in model.graph}
    shapes = {
        name: tuple(by_name[name].inputs[1].const_value.shape)
        for name in ("up", "up_outliers", "down", "down_outliers")
    }
    assert shapes == {
        "up": (WIDTH, HIDDEN - 16),
        "up_outliers": (WIDTH, 16),
        "down": (HIDDEN - 16, WIDTH),
        "down_outliers": (16, WIDTH),
    }
    assert split.origins == {
        "up_outliers": "up",
        "up_bias_outliers": "up_bias",
        "act_outliers": "act",
        "down_outliers": "down",
        "down_total": "down",
    }
    # The outputs are sums of 256 products; only their order changes.
    after = run(model, x=x)["y"]
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())


def test_the_sum_comes_behind_the_bias_of_the_second_layer(build, body, rng):
    model = build(FEED_FORWARD, **weights(rng))
    SplitHiddenChannels(statistics())(model)
    lines = [line for line in body(model) if line.startswith(("[down", "[add"))]
    assert [line.split("=")[0].split("]")[0] + "]" for line in lines] == [
        "[down_outliers]",
        "[down]",
        "[down_bias]",
        "[down_total]",
        "[add]",
    ]


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm_in_both_layouts_with_the_output_of_the_model(build, run, rng, transposed):
    graph = f"""g (float[6,24] x) => (float[6,24] y) {{
        [up] a = Gemm<transB={transposed}>(x, w1, b1)
        [sigmoid] h = Sigmoid(a)
        [down] y = Gemm<transB={transposed}>(h, w2, b2)
    }}"""
    given = weights(rng)
    if transposed:
        given |= {name: np.ascontiguousarray(given[name].T) for name in ("w1", "w2")}
    model = build(graph, **given)
    x = rng.normal(size=(6, WIDTH)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert SplitHiddenChannels(statistics())(model).modified
    assert [output.name for output in model.graph.outputs] == ["y"]
    after = run(model, x=x)["y"]
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())


def test_even_channels_are_left_alone(build, rng):
    model = build(FEED_FORWARD, **weights(rng))
    high = np.full(HIDDEN, 2.0)
    even = ChannelStatistics(np.full(HIDDEN, -0.17), high, np.square(high / 4.0))
    assert not SplitHiddenChannels({"h": even})(model).modified


def test_a_second_reader_of_the_hidden_tensor_forbids_it(build, rng):
    graph = FEED_FORWARD.replace(
        "=> (float[1,6,24] y)", "=> (float[1,6,24] y, float[1,6,256] h)"
    )
    assert hidden_tensors(build(graph, **weights(rng)).graph) == []


def test_a_layer_that_stays_in_float_forbids_it(build, rng):
    graph = build(FEED_FORWARD, **weights(rng)).graph
    nodes = {node.name: node for node in graph}
    assert hidden_tensors(graph, [nodes["add"]])
    for name in ("up", "act", "down"):
        assert hidden_tensors(graph, [nodes[name]]) == []
