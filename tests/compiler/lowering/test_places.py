"""Inputs of a concatenation are computed in their places: nothing is copied."""

import numpy as np
import pytest
from onnx import helper

RNG = np.random.default_rng(0)
IMAGE = (1, 8, 11, 9)


def w(*shape):
    return (RNG.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def node(op_type, inputs, output, **attributes):
    return helper.make_node(op_type, inputs, [output], name=output, **attributes)


def conv(x, output, weight, **attributes):
    return node("Conv", [x, weight], output, **attributes)


WEIGHTS = {"A": w(12, 8, 1, 1), "B": w(20, 8, 3, 3), "C": w(10, 32, 1, 1), "D": w(7, 20, 1, 1)}
SAME = {"pads": [1, 1, 1, 1]}
POOL = {"kernel_shape": [3, 3], "strides": [1, 1], **SAME}
BRANCHES = [conv("x", "a", "A"), conv("x", "b", "B", **SAME)]
JOINED = node("Concat", ["a", "b"], "ab", axis=1)

# Nodes, and how many inputs of concatenations still need a copy: in float, and in integers,
# where a maximum cannot round once more to another scale.
CASES = {
    "branches": ([*BRANCHES, JOINED, conv("ab", "y", "C")], 0, 0),
    "relu": (
        [BRANCHES[0], conv("x", "c", "B", **SAME), node("Relu", ["c"], "b"), JOINED,
         conv("ab", "y", "C")], 0, 0),
    "a part is read elsewhere": (
        [*BRANCHES, JOINED, conv("ab", "c", "C"), conv("b", "d", "D"),
         node("Concat", ["c", "d"], "y", axis=1)], 0, 0),
    "pools": (
        [BRANCHES[0], node("MaxPool", ["a"], "p", **POOL), BRANCHES[1],
         node("AveragePool", ["b"], "q", **POOL), node("Concat", ["p", "q"], "ab", axis=1),
         conv("ab", "y", "C")], 0, 1),
    "dense block": (
        [conv("x", "a", "A"), node("Concat", ["x0", "a"], "xa", axis=1),
         conv("xa", "b", "E"), node("Concat", ["xa", "b"], "xab", axis=1),
         conv("xab", "y", "F")], 0, 0),
    "the model's input is copied": (
        [conv("x", "a", "A"), node("Concat", ["x", "a"], "xa", axis=1), conv("xa", "y", "D")],
        1, 1),
    "twice the same": (
        [conv("x", "a", "A"), node("Concat", ["a", "a"], "aa", axis=1), conv("aa", "y", "G")],
        1, 1),
    "along rows": (
        [*BRANCHES[:1], conv("x", "b", "H"), node("Concat", ["a", "b"], "ab", axis=2),
         conv("ab", "y", "I")], 2, 2),
}  # fmt: skip
MORE = {
    "E": w(5, 20, 1, 1), "F": w(9, 25, 1, 1), "G": w(9, 24, 1, 1), "H": w(12, 8, 1, 1),
    "I": w(9, 12, 1, 1), "X": w(8, 8, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("float_only", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_parts_are_written_in_place(differential, name, float_only):
    nodes, *copies = CASES[name]
    if name == "dense block":
        nodes = [conv("x", "x0", "X"), *nodes]
    used = {i for n in nodes for i in n.input}
    weights = {k: v for k, v in (WEIGHTS | MORE).items() if k in used}
    found = differential(nodes, weights, IMAGE, float_only=float_only)
    copied = [s for s in found.steps if "Concat" in s["op_types"]]
    if float_only:
        np.testing.assert_allclose(found.ours, found.float32, atol=1e-4)
    else:
        assert found.worst_steps <= 1.001
        assert found.equal_share >= 0.99
    assert len(copied) == copies[not float_only]


def test_slices_of_a_split_are_read_where_they_are(differential):
    """As in ShuffleNet: half of the channels goes through a convolution."""
    nodes = [
        conv("x", "a", "J"),
        helper.make_node("Split", ["a", "S"], ["l", "r"], name="split", axis=1),
        conv("r", "c", "A"),
        node("Concat", ["l", "c"], "y", axis=1),
    ]  # fmt: skip
    weights = {
        "J": w(20, 8, 1, 1), "S": np.array([12, 8], np.int64), "A": WEIGHTS["A"],
    }  # fmt: skip
    found = differential(nodes, weights, IMAGE)
    assert found.equal_share >= 0.99
    assert not any(
        s["variant"].startswith("move") and "Conv" in s["op_types"] for s in found.steps
    )


@pytest.mark.parametrize("op_type", ["HardSwish", "Gelu"])
def test_functions_of_a_result_are_looked_up_where_it_is_rounded(differential, op_type):
    """No table of its own: it would read and write everything once more."""
    attributes = {"domain": ""}
    nodes = [
        conv("x", "a", "A"), helper.make_node(op_type, ["a"], ["h"], name="h", **attributes),
        conv("h", "y", "I"),
    ]  # fmt: skip
    found = differential(nodes, {"A": WEIGHTS["A"], "I": MORE["I"]}, IMAGE)
    assert found.worst_steps <= 1.001
    assert found.equal_share >= 0.99
    assert ["Conv", op_type] in [s["op_types"] for s in found.steps]
    assert not any("table" in s["variant"] for s in found.steps)
