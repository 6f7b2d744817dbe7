import numpy as np
import pytest

from octavo.passes.narrow_ranges import narrow_ranges
from octavo.passes.placement import plan_placement
from octavo.passes.quantizer_options import QuantizerOptions


def narrowed(model, limits):
    placement = plan_placement(model.graph, QuantizerOptions())
    known = {value: limits[value.name] for value in placement.tensors}
    return {v.name: r for v, r in narrow_ranges(placement.regions, known).items()}


def table(nodes):
    return f"g (float[1,4] x) => (float[1,4] y) {{ [a] u = MatMul(x, w) {nodes} }}"


@pytest.mark.parametrize(
    ("nodes", "low", "high"),
    [
        ("y = HardSwish(u)", -3.0, 12.0),
        ("y = HardSigmoid<alpha=0.16666667, beta=0.5>(u)", -3.0, 3.0),
        ("y = ThresholdedRelu<alpha=2.0>(u)", 0.0, 12.0),
        ("y = Abs(u)", -12.0, 12.0),
    ],
)
def test_constant_ends_are_cut(build, nodes, low, high):
    model = build(table(nodes), w=np.ones((4, 4), np.float32))
    limits = dict.fromkeys(("x", "u", "y"), (-12.0, 12.0))
    found = narrowed(model, limits).get("u", (-12.0, 12.0))
    # One point of the grid, and what a quarter step of the output allows.
    assert found[0] == pytest.approx(low, abs=24 / 1024 + 0.06)
    assert found[1] == pytest.approx(high, abs=24 / 1024 + 0.06)


def test_a_second_reader_sees_the_ends(build):
    model = build(
        "g (float[1,4] x) => (float[1,4] y, float[1,4] z) { [a] t = MatMul(x, w)"
        " [h] y = HardSwish(t) [b] z = MatMul(t, w) }",
        w=np.ones((4, 4), np.float32),
    )
    limits = dict.fromkeys(("x", "t", "y", "z"), (-9.0, 9.0))
    assert "t" not in narrowed(model, limits)


def test_attention_mask_keeps_what_softmax_can_tell_apart(build):
    model = build(
        "g (float[1,4,8] q, float[1,8,4] k, float[1,1,4] m) => (float[1,4,4] y) {"
        " [s] t = MatMul(q, k) [mask] u = Add(t, m) [p] y = Softmax(u) }"
    )
    limits = {
        "q": (-1.0, 1.0),
        "k": (-1.0, 1.0),
        "t": (-8.0, 8.0),
        "m": (-3.4e38, 0.0),
        "u": (-24.0, 8.0),
        "y": (0.0, 1.0),
    }
    low, high = narrowed(model, limits)["m"]
    assert high == 0.0
    # Any score plus the mask saturates, and a score without it is resolved to half a unit.
    assert low <= -24.0 - 8.0
    assert low / 255 > -1.0


def test_a_range_that_does_not_hold_zero_keeps_its_order(build):
    model = build(table("y = HardSwish(u)"), w=np.ones((4, 4), np.float32))
    limits = {"x": (-1.0, 1.0), "u": (-0.25, -0.25), "y": (-0.12, 0.0)}
    low, high = narrowed(model, limits).get("u", (-0.25, 0.0))
    assert low <= high
    # A constant above zero, read by a function that is flat near it.
    limits = {"x": (-1.0, 1.0), "u": (0.25, 0.25), "y": (0.0, 0.14)}
    low, high = narrowed(model, limits).get("u", (0.0, 0.25))
    assert low <= 0.0 <= high
