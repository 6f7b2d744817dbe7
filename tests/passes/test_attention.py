"""Attention: recognized, its scale moved, its weights rounded beside the largest of a row."""

import numpy as np
import pytest

from octavo.passes.attention import match_attention
from octavo.passes.insert_quantizers import InsertQuantizers, place_with_ranges
from octavo.passes.move_score_scale import MoveScoreScale
from octavo.passes.quantizer_options import QuantizerOptions

HEADER = """g (float[1,2,6,8] q, float[1,2,8,5] k, float[1,2,5,4] v, float[1,1,1,5] m)
    => (float[1,2,6,4] y)"""
PLAIN = "s = MatMul(q, k) p = Softmax(s) y = MatMul(p, v)"
MASKED = "s = MatMul(q, k) t = Div(s, c) u = Add(t, m) p = Softmax(u) y = MatMul(p, v)"
ROOT = {"c": np.float32(2.5)}


def attention_of(model):
    return match_attention(next(n for n in model.graph if n.op_type == "MatMul"))


def feeds(rng, masked):
    shapes = {"q": (1, 2, 6, 8), "k": (1, 2, 8, 5), "v": (1, 2, 5, 4)}
    found = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    mask = np.zeros((1, 1, 1, 5), np.float32)
    mask[..., 3] = masked
    return found | {"m": mask}


def ranges_of(**extra):
    return {"q": (-4, 4), "k": (-4, 4), "v": (-4, 4), "m": (-1e4, 0), "y": (-4, 4)} | extra


def test_plain_and_masked_scores_are_recognized(build):
    plain = attention_of(build(f"{HEADER} {{ {PLAIN} }}"))
    assert (plain.scale, plain.mask, len(plain.nodes)) == (1.0, None, 3)
    masked = attention_of(build(f"{HEADER} {{ {MASKED} }}", **ROOT))
    assert masked.scale == pytest.approx(0.4)
    assert masked.mask.name == "m"
    assert masked.value.name == "v"


@pytest.mark.parametrize(
    "nodes",
    [
        "s = MatMul(q, k) p = Softmax<axis=2>(s) y = MatMul(p, v)",  # over the queries
        "s = MatMul(q, k) r = Relu(s) p = Softmax(r) y = MatMul(p, v)",
        "s = MatMul(q, k) p = Softmax(s) m0 = ReduceMean(p) z = MatMul(p, v) y = Add(z, m0)",
    ],
)
def test_what_only_looks_like_it_is_not(build, nodes):
    assert attention_of(build(f"{HEADER} {{ {nodes} }}")) is None


@pytest.mark.parametrize(
    ("nodes", "scale"),
    [
        (f"a = Mul(q, c) {PLAIN.replace('MatMul(q', 'MatMul(a', 1)}", 2.5),
        ("a = Div(q, c) b = Mul(c, k) s = MatMul(a, b) t = Mul(s, c) p = Softmax(t)"
         " y = MatMul(p, v)", 2.5),
    ],
)  # fmt: skip
def test_a_scale_moves_behind_the_product(build, run, rng, nodes, scale):
    model = build(f"{HEADER} {{ {nodes} }}", **ROOT)
    x = feeds(rng, 0.0)
    before = run(model, **x)["y"]
    assert MoveScoreScale()(model).modified
    found = attention_of(model)
    assert (found.query.name, found.key.name) == ("q", "k")
    assert found.scale == pytest.approx(scale)
    np.testing.assert_allclose(run(model, **x)["y"], before, rtol=1e-5, atol=1e-6)
    assert not MoveScoreScale()(model).modified


def test_a_query_with_another_reader_keeps_its_scale(build):
    nodes = f"a = Mul(q, c) {PLAIN.replace('MatMul(q', 'MatMul(a', 1)} w = ReduceMean(a)"
    assert not MoveScoreScale()(build(f"{HEADER} {{ {nodes} }}", **ROOT)).modified


def test_attention_is_one_region(build):
    model = build(f"{HEADER} {{ {MASKED} }}", **ROOT)
    placement = place_with_ranges(model.graph, QuantizerOptions(), ranges_of())
    (region,) = placement.regions
    assert [node.op_type for node in region.nodes] == [
        "MatMul", "Div", "Add", "Softmax", "MatMul",
    ]  # fmt: skip
    assert [value.name for value in region.inputs] == ["q", "k", "m", "v"]
    assert not placement.float_nodes


def test_a_softmax_kept_in_float_is_no_part_of_a_region(build):
    from octavo.passes.quantizer_options import LayerOverride

    options = QuantizerOptions(overrides=(LayerOverride(match="Softmax", keep_float=True),))
    model = build(f"{HEADER} {{ {PLAIN} }}")
    placement = place_with_ranges(
        model.graph, options, ranges_of(s=(-9, 9), p=(0, 1), y=(-4, 4))
    )
    assert all(len(region.nodes) == 1 for region in placement.regions)


def test_weights_are_rounded_beside_the_largest_of_their_row(build, run, rng):
    model = build(f"{HEADER} {{ {MASKED} }}", **ROOT)
    x = feeds(rng, -1e4)
    before = run(model, **x)["y"]
    assert InsertQuantizers(ranges_of(), QuantizerOptions())(model).modified
    op_types = [node.op_type for node in model.graph]
    assert "Softmax" not in op_types
    assert op_types.count("Exp") == op_types.count("Div") - 1 == 1
    after = run(model, **x)["y"]
    assert list(run(model, **x)) == ["y"]
    # Half a step of each input and of the output; weights off by half of 1/255 of the largest,
    # five of them, times values up to 4: all of it at once is the worst that there can be.
    step = 8 / 255
    scores = step / 2 * (np.abs(x["q"]).sum(-1).max() + np.abs(x["k"]).sum(-2).max()) / 2.5
    spread = 2 * np.abs(x["v"]).max()
    assert np.abs(after - before).max() <= step + spread * (2 * scores + 5 / 255)
    assert np.abs(after - before).mean() < step  # and mostly far less


def test_the_range_of_a_mask_ends_where_weights_are_zero(build):
    lowest = float(np.finfo(np.float32).min)
    model = build(f"{HEADER} {{ {MASKED} }}", **ROOT)
    InsertQuantizers(ranges_of(m=(lowest, 0.0)), QuantizerOptions())(model)
    scale = model.graph.initializers["m_scale"].const_value.numpy()
    largest = 8 * 4 * 4 / 2.5  # of the scores
    assert largest + 16 <= 255 * scale <= 4 * (largest + 16)
