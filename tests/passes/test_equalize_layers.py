import numpy as np
import pytest

from octavo.passes.equalize_layers import EqualizeLayers
from octavo.passes.linear_layers import input_ranges, linear_weight, output_ranges

CHAIN = """g (float[1,3,6,6] x) => (float[1,5,6,6] y) {
    [expand] a = Conv(x, w1, b1)
    [act1] r = ACTIVATION
    [depthwise] d = Conv<group=8, pads=[1,1,1,1]>(r, w2, b2)
    [act2] s = Relu(d)
    [project] y = Conv(s, w3)
}"""


def weights(rng, spread=100.0):
    factors = np.exp(rng.uniform(-np.log(spread), np.log(spread), 8)).astype(np.float32)
    return {
        "w1": (rng.normal(size=(8, 3, 1, 1)) * factors[:, None, None, None]).astype(
            np.float32
        ),
        "b1": rng.normal(size=8).astype(np.float32),
        "w2": rng.normal(size=(8, 1, 3, 3)).astype(np.float32),
        "b2": rng.normal(size=8).astype(np.float32),
        "w3": rng.normal(size=(5, 8, 1, 1)).astype(np.float32),
    }


@pytest.mark.parametrize("activation", ["Relu(a)", "LeakyRelu<alpha=0.1>(a)", "Identity(a)"])
def test_ranges_meet_and_the_function_stays(build, run, rng, activation):
    model = build(CHAIN.replace("ACTIVATION", activation), **weights(rng))
    x = rng.normal(size=(1, 3, 6, 6)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert EqualizeLayers()(model).modified
    # Each of three layers rounds once more; sums of up to 27 terms.
    assert np.abs(run(model, x=x)["y"] - before).max() < 1e-5 * np.abs(before).max()
    expand, _, depthwise, _, project = model.graph
    for first, second in ((expand, depthwise), (depthwise, project)):
        r1 = output_ranges(first, linear_weight(first))
        r2 = input_ranges(second, linear_weight(second))
        # Settled: s = sqrt(r1 / r2) is within 1% of 1.
        assert np.abs(np.sqrt(r1 / r2) - 1).max() <= 0.011
    assert not EqualizeLayers()(model).modified


def test_a_balanced_network_is_left_alone_on_request(build, rng):
    model = build(CHAIN.replace("ACTIVATION", "Relu(a)"), **weights(rng, spread=1.0001))
    assert not EqualizeLayers(min_imbalance=16.0)(model).modified


def test_clip_ends_a_pair_and_is_reported(build, rng):
    graph = CHAIN.replace("ACTIVATION", "Clip(a, zero, six)")
    limits = {"zero": np.float32(0), "six": np.float32(6)}
    model = build(graph, **weights(rng), **limits)
    equalize = EqualizeLayers()
    assert [clip.name for clip in equalize.clips_in_the_way(model.graph)] == ["act1"]
    equalize(model)
    assert len(equalize.notes) == 1
    assert "'act1' clips" in equalize.notes[0]
    assert model.graph[1].op_type == "Clip"


def test_clip_that_never_clips_becomes_relu(build, run, rng):
    graph = CHAIN.replace("ACTIVATION", "Clip(a, zero, limit)")
    limits = {"zero": np.float32(0), "limit": np.float32(1e6)}
    model = build(graph, **weights(rng), **limits)
    x = rng.normal(size=(1, 3, 6, 6)).astype(np.float32)
    before = run(model, x=x)["y"]
    EqualizeLayers(unclipped=["act1"])(model)
    assert model.graph[1].op_type == "Relu"
    assert np.abs(run(model, x=x)["y"] - before).max() < 1e-5 * np.abs(before).max()


def test_a_residual_branch_ends_a_pair(build, rng):
    graph = """g (float[1,4,3,3] x) => (float[1,4,3,3] y) {
        [a] t = Conv(x, w) [r] u = Relu(t) [b] v = Conv(u, w) [add] y = Add(u, v)
    }"""
    model = build(graph, w=rng.normal(size=(4, 4, 1, 1)).astype(np.float32))
    assert not EqualizeLayers()(model).modified


def test_dead_channels_are_not_scaled(build, run, rng):
    given = weights(rng)
    given["w1"][2] = 0.0
    given["w3"][:, 4] = 0.0
    model = build(CHAIN.replace("ACTIVATION", "Relu(a)"), **given)
    x = rng.normal(size=(1, 3, 6, 6)).astype(np.float32)
    before = run(model, x=x)["y"]
    EqualizeLayers()(model)
    after = run(model, x=x)["y"]
    assert np.isfinite(after).all()
    assert np.abs(after - before).max() < 1e-5 * np.abs(before).max()


def test_pooling_and_flattening_lead_to_the_classifier(build, run, rng):
    graph = """g (float[1,3,4,4] x) => (float[1,5] y) {
        [conv] a = Conv(x, w1) [act] r = Relu(a) [pool] p = GlobalAveragePool(r)
        [flat] f = Flatten(p) [fc] y = Gemm<transB=1>(f, w2, b2)
    }"""
    spread = np.logspace(-2, 2, 6, dtype=np.float32)
    model = build(
        graph,
        w1=(rng.normal(size=(6, 3, 1, 1)) * spread[:, None, None, None]).astype(np.float32),
        w2=rng.normal(size=(5, 6)).astype(np.float32),
        b2=rng.normal(size=5).astype(np.float32),
    )
    x = rng.normal(size=(1, 3, 4, 4)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert EqualizeLayers()(model).modified
    assert np.abs(run(model, x=x)["y"] - before).max() < 1e-5 * np.abs(before).max()
