"""Attention masks made of integers: what belongs to them, and what they compute."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from octavo.passes.integer_functions import evaluate_integers, integer_function

CASES = {
    "subtracted": (
        "int64[1,4] m",
        "f = Cast<to=1>(m) s = Sub(one, f) y = Mul(s, low)",
        [-10000, 0, 10000, 20000, 2.0**62 * 10000],
        "m",
    ),
    "chosen": ("bool[1,4] m", "y = Where(m, zero, low)", [-10000, 0], "m"),
    "of_an_integer": (
        "int64[1,4] m",
        "b = Cast<to=9>(m) y = Where(b, zero, low)",
        [-10000, 0, 0, 0, 0],
        "m",
    ),
    "filled": (
        "int64[1,4] m",
        "f = Cast<to=1>(m) s = Sub(one, f) b = Cast<to=9>(s) y = Where(b, low, s)",
        [-10000, 0, -10000, -10000, -10000],
        "m",
    ),
    "compared": (
        "int64[1,4] m",
        "e = Equal(m, none) n = Not(e) f = Cast<to=1>(n) y = Mul(f, low)",
        [0, -10000, -10000, -10000, -10000],
        "m",
    ),
    "of_two_masks": (
        "int64[1,4] m, int64[1,4] n",
        "a = Cast<to=9>(m) b = Cast<to=9>(n) c = And(a, b) y = Where(c, zero, low)",
        [-10000, 0],
        "c",
    ),
}
CONSTANTS = (
    "<float one = {1}, float zero = {0}, float low = {-10000}, int64 none = {0},"
    " float[1,4] row = {1,2,3,4}>"
)


def value_of(inputs, body):
    proto = onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 21]>
        g ({inputs}) => (float[1,4] y) {CONSTANTS} {{ {body} }}"""
    )
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    return model.graph.outputs[0]


@pytest.mark.parametrize("case", CASES)
def test_masks_are_functions_of_one_integer(case):
    inputs, body, expected, source = CASES[case]
    function = integer_function(value_of(inputs, body))
    assert function is not None
    assert function.source.name == source
    points = np.array([0, 1] if len(expected) == 2 else [0, 1, 2, 3, 2**62])
    points = points.astype(function.source.dtype.numpy())
    values = evaluate_integers(function, points).values
    np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "body"),
    [
        ("float[1,4] x", "y = Mul(x, low)"),
        ("int64[1,4] m, float[1,4] x", "f = Cast<to=1>(m) y = Mul(f, x)"),
        ("int64[1,4] m", "f = Cast<to=1>(m) y = Mul(f, row)"),
        ("int64[1,4] m", "f = Cast<to=1>(m) y = Mul(f, f)"),
        ("int64[1] m", "f = Cast<to=1>(m) y = Expand(f, s)"),
    ],
    ids=["of_a_float", "of_two_tensors", "with_a_row", "a_square", "of_another_shape"],
)
def test_what_is_no_function_of_one_integer(inputs, body):
    if " s)" in body:
        body = "s = Constant<value_ints = [1, 4]>() " + body
    assert integer_function(value_of(inputs, body)) is None


def test_what_is_compared_is_told():
    function = integer_function(value_of(*CASES["compared"][:2]))
    found = evaluate_integers(function, np.array([-5, 0, 7]))
    (margin,) = found.margins
    np.testing.assert_array_equal(margin, [-5, 0, 7])
