"""Where an axis goes: checked by moving what lies along it."""

import numpy as np
import pytest

from octavo.passes.message_passing.axes import SHARED, axis_of_input

CASES = [
    ("y = Relu(x)", "3,4,4", 0, 0),
    ("y = Add(x, row)", "3,4,4", 1, 1),
    ("y = Reshape(x, split)", "3,2,2,4", 0, 0),
    ("y = Reshape(x, merged)", "6,2,4", 0, None),
    ("y = Reshape(x, column)", "1,3,16", 1, 0),
    ("y = Transpose<perm=[2,0,1]>(x)", "4,3,4", 1, 0),
    ("y = Unsqueeze(x, one)", "3,1,4,4", 2, 1),
    ("y = Expand(x, wider)", "2,3,4,4", 1, 0),
    ("y = ReduceSum<keepdims=0>(x, one)", "3,4", 1, 2),
    ("y = ReduceSum<keepdims=1>(x, one)", "3,1,4", 1, None),
    ("y = Softmax<axis=2>(x)", "3,4,4", 1, 1),
    ("y = Softmax<axis=1>(x)", "3,4,4", 1, None),
    ("y = Concat<axis=2>(x, x)", "3,4,8", 1, 1),
    ("y = Concat<axis=1>(x, x)", "3,8,4", 1, None),
    ("y = MatMul(x, w)", "3,4,5", 1, 1),
    ("y = MatMul(x, w)", "3,4,5", 2, None),
    ("y = MatMul(x, deep)", "3,4,5", 0, 0),
    ("y = Gather<axis=1>(x, picked)", "3,2,4", 2, 2),
    ("y = Gather<axis=1>(x, picked)", "3,2,4", 1, None),
    ("y = Slice(x, zero, two, one)", "3,2,4", 0, 0),
    ("y = Slice(x, zero, two, one)", "3,2,4", 1, None),
    ("y = CumSum(x, first)", "3,4,4", 1, None),
]


def numbers(*values):
    return np.array(values, np.int64)


CONSTANTS = {
    "split": numbers(3, 2, 2, 4), "merged": numbers(6, 2, 4), "column": numbers(1, 3, 16),
    "one": numbers(1), "zero": numbers(0), "two": numbers(2), "first": np.int64(0),
    "wider": numbers(2, 3, 4, 4), "picked": numbers(3, 0), "row": np.ones(4, np.float32),
    "w": np.ones((4, 5), np.float32), "deep": np.ones((3, 4, 5), np.float32),
}  # fmt: skip


@pytest.mark.parametrize(("node", "shape", "axis", "expected"), CASES)
def test_the_axis_of_the_input(build, run, rng, node, shape, axis, expected):
    """Permuting the input along the found axis permutes the output along the asked one."""
    model = build(f"g (float[3,4,4] x) => (float[{shape}] y) {{ {node} }}", **CONSTANTS)
    (single,) = model.graph
    assert axis_of_input(single, 0, axis) == expected
    if expected is None:
        return
    x = rng.normal(size=(3, 4, 4)).astype(np.float32)
    order = rng.permutation(x.shape[expected])
    if "deep" in node:
        x[:] = x[:1]  # the other operand has rows of its own: equal ones here
    before = run(model, x=x)["y"]
    after = run(model, x=np.take(x, order, expected))["y"]
    np.testing.assert_allclose(after, np.take(before, order, axis), rtol=1e-6)


def test_the_other_operand_is_shared_or_has_its_own_axis(build):
    inputs = "g (float[3,4,4] x, float[3,4,5] d, float[4] r)"
    (product,) = build(f"{inputs} => (float[3,4,5] y) {{ y = MatMul(x, d) }}").graph
    assert axis_of_input(product, 1, 0) == 0
    assert axis_of_input(product, 1, 1) == SHARED
    (total,) = build(f"{inputs} => (float[3,4,4] y) {{ y = Add(x, r) }}").graph
    assert axis_of_input(total, 1, 0) == SHARED
    assert axis_of_input(total, 1, 2) == 0
