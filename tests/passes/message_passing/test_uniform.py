"""One number everywhere, folded or not."""

import numpy as np
import pytest

from octavo.passes.message_passing.uniform import uniform_number

SIZE = {"size": np.array([2, 3], np.int64)}


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("y = ConstantOfShape(size)", 0.0),
        ("y = ConstantOfShape<value = float[1] {2.5}>(size)", 2.5),
        ("y = Expand(three, size)", 3.0),
        ("y = Identity(same)", 4.0),
        ("y = Identity(different)", None),
        ("y = Expand(x, size)", None),
        ("t = Expand(three, size) y = Neg(t)", None),
    ],
)
def test_the_number(build, nodes, expected):
    same = np.full((2, 3), 4, np.float32)
    arrays = {"same": same, "different": same + np.eye(2, 3, dtype=np.float32)}
    header = "g (float[1,3] x) => (float[2,3] y)"
    model = build(f"{header} {{ {nodes} }}", **SIZE, **arrays, three=np.float32(3))
    assert uniform_number(model.graph.outputs[0]) == expected


def test_an_empty_constant_is_no_number(build):
    model = build(
        "g (float[1] x) => (float[0] y) { y = Identity(none) }", none=np.zeros(0, np.float32)
    )
    assert uniform_number(model.graph.outputs[0]) is None
