import numpy as np
import pytest

from octavo.passes.fold_batch_norm import FoldBatchNorm
from octavo.passes.fold_leading_batch_norm import FoldLeadingBatchNorm
from octavo.passes.replace_batch_norm import ReplaceBatchNorm


def statistics(rng, channels):
    return {
        "g": rng.normal(size=channels).astype(np.float32),
        "b": rng.normal(size=channels).astype(np.float32),
        "m": rng.normal(size=channels).astype(np.float32),
        "v": rng.uniform(0.1, 2.0, channels).astype(np.float32),
    }


CONV = """g (float[1,4,6,6] x) => (float[1,6,6,6] y) {
    [conv] t = Conv<pads=[1,1,1,1], group=2>(x, w)
    [norm] y = BatchNormalization(t, g, b, m, v)
}"""

TRANSPOSED = """g (float[1,4,5,5] x) => (float[1,6,10,10] y) {
    [up] t = ConvTranspose<strides=[2,2], group=2>(x, w, c)
    [norm] y = BatchNormalization(t, g, b, m, v)
}"""

GEMM = """g (float[3,4] x) => (float[3,6] y) {
    [fc] t = Gemm<transB=1>(x, w, c)
    [norm] y = BatchNormalization(t, g, b, m, v)
}"""


@pytest.mark.parametrize(
    ("graph", "shape", "weight", "has_bias"),
    [
        (CONV, (1, 4, 6, 6), (6, 2, 3, 3), False),
        (TRANSPOSED, (1, 4, 5, 5), (4, 3, 2, 2), True),
        (GEMM, (3, 4), (6, 4), True),
    ],
)
def test_folded_network_computes_the_same(build, run, rng, graph, shape, weight, has_bias):
    weights = {"w": rng.normal(size=weight).astype(np.float32), **statistics(rng, 6)}
    if has_bias:
        weights["c"] = rng.normal(size=6).astype(np.float32)
    model = build(graph, **weights)
    x = rng.normal(size=shape).astype(np.float32)
    before = run(model, x=x)["y"]
    assert FoldBatchNorm()(model).modified
    assert [node.op_type for node in model.graph] == [
        graph.split("= ")[1].split("(")[0].split("<")[0]
    ]
    # METHODS 2.1 e: the difference is rounding only.
    assert np.abs(run(model, x=x)["y"] - before).max() < 1e-5 * max(1, np.abs(before).max())


def test_rewritten_graph_keeps_names(build, body, rng):
    weights = {"w": rng.normal(size=(6, 2, 3, 3)).astype(np.float32), **statistics(rng, 6)}
    model = build(CONV, **weights)
    FoldBatchNorm()(model)
    assert body(model) == [
        "[conv]y=Conv<pads:ints=[1,1,1,1],group:int=2>(x,conv_weight,conv_bias)"
    ]
    assert not FoldBatchNorm()(model).modified


def test_a_convolution_with_two_readers_is_not_folded(build, rng):
    graph = """g (float[1,2,4,4] x) => (float[1,2,4,4] y) {
        t = Conv(x, w)  n = BatchNormalization(t, g, b, m, v)  y = Add(n, t)
    }"""
    model = build(graph, w=np.ones((2, 2, 1, 1), np.float32), **statistics(rng, 2))
    assert not FoldBatchNorm()(model).modified


LEADING = """g (float[1,4,6,6] x) => (float[1,6,4,4] y) {
    [norm] t = BatchNormalization(x, g, b, m, v)
    [conv] y = Conv<PADS>(t, w)
}"""


def test_a_leading_normalization_goes_into_an_unpadded_convolution(build, run, rng):
    graph = LEADING.replace("PADS", "kernel_shape=[3,3]")
    weights = {"w": rng.normal(size=(6, 4, 3, 3)).astype(np.float32), **statistics(rng, 4)}
    model = build(graph, **weights)
    x = rng.normal(size=(1, 4, 6, 6)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert FoldLeadingBatchNorm()(model).modified
    assert [node.op_type for node in model.graph] == ["Conv"]
    assert np.abs(run(model, x=x)["y"] - before).max() < 1e-5 * np.abs(before).max()
    assert not FoldLeadingBatchNorm()(model).modified


def test_padding_keeps_a_leading_normalization_where_it_is(build, rng):
    graph = LEADING.replace("PADS", "pads=[1,1,1,1]").replace("6,4,4", "6,6,6")
    weights = {"w": rng.normal(size=(6, 4, 3, 3)).astype(np.float32), **statistics(rng, 4)}
    assert not FoldLeadingBatchNorm()(build(graph, **weights)).modified


@pytest.mark.parametrize(
    ("shape", "op_types"),
    [((2, 4), ["Mul", "Add"]), ((1, 4, 5), ["Conv"]), ((1, 4, 3, 3), ["Conv"])],
)
def test_a_lone_normalization_becomes_a_quantizable_operator(build, run, rng, shape, op_types):
    dims = ",".join(map(str, shape))
    graph = f"""g (float[{dims}] x) => (float[{dims}] y) {{
        [norm] y = BatchNormalization(x, g, b, m, v)
    }}"""
    model = build(graph, **statistics(rng, 4))
    x = rng.normal(size=shape).astype(np.float32)
    before = run(model, x=x)["y"]
    assert ReplaceBatchNorm()(model).modified
    assert [node.op_type for node in model.graph] == op_types
    assert np.abs(run(model, x=x)["y"] - before).max() < 1e-5
    assert not ReplaceBatchNorm()(model).modified
