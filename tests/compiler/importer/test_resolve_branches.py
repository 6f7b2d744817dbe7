"""Branches whose condition is known, and functions, become nodes of the graph."""

import numpy as np
import pytest
from tests.compiler.importer.model_text import text


@pytest.mark.parametrize(("value", "expected"), [("1", "Neg"), ("0", "Abs")])
def test_an_if_with_a_known_condition_becomes_its_branch(
    imported, op_types, run, value, expected
):
    original = text(
        "float[2] x",
        "float[2] y, float[2] z",
        """r = Identity(x)
        y, z = If(c) <
            then_branch = t () => (float[2] a, float[2] r2) { a = Neg(r) r2 = Mul(a, w) },
            else_branch = e () => (float[2] b, float[2] b2) { b = Abs(r) b2 = Identity(b) }
        >""",
        f"bool c = {{{value}}}, float w = {{2.0}}",
    )
    model = imported(original)
    assert op_types(model)[0] == expected
    x = np.float32([1, -2])
    for want, got in zip(run(original, {"x": x}), run(model, {"x": x}), strict=True):
        np.testing.assert_array_equal(got, want)


def test_branches_and_functions_may_reuse_names_of_later_values(imported, op_types, run):
    """The branch's own b and y are other values than those defined after it."""
    original = text(
        "float[2] x",
        "float[2] y",
        "y = local.f(x)",
        "",
        """<domain: "local", opset_import: ["" : 18]>
        f (a) => (b) {
            c = Constant<value = bool {1}>()
            k = If(c) <
                then_branch = t () => (float[2] y) { b = Neg(a) y = Mul(b, b) },
                else_branch = e () => (float[2] b) { b = Abs(a) }
            >
            b = Add(k, a)
        }""",
    )
    model = imported(original)
    assert op_types(model) == ["Neg", "Mul", "Add"]
    assert run(model, {"x": np.float32([1, -3])})[0].tolist() == [2, 6]


def test_an_if_that_depends_on_data_is_refused(refused):
    refused(
        text("float[2] x, bool c", "float[2] y", """[choice] y = If(c) <
            then_branch = t () => (float[2] a) { a = Neg(x) },
            else_branch = e () => (float[2] b) { b = Abs(x) } >"""),
        "If 'choice': which branch runs depends on data",
    )  # fmt: skip


FUNCTIONS = """
<domain: "local", opset_import: ["" : 13]>
scale <alpha: float = 2.0, to> (a, unused) => (b, c) {
    k = Constant<value_float : float = @alpha>()
    b = Mul(a, k)
    t = Cast<to : int = @to>(b)
    c = Softmax(t)
}
<domain: "local", opset_import: ["" : 11, "local" : 1]>
twice (a) => (p, a2, c) {
    p, c = local.scale<alpha = 3.0, to = 1>(a)
    q, a2 = local.scale<to = 1>(p)
}
"""


def test_functions_are_inlined_with_attributes_and_their_own_opsets(imported, op_types, run):
    original = text(
        "float[2,3] x", "float[2,3] y, float[2,3] z, float[2,3] w",
        "y, z, w = local.twice(x)", rest=FUNCTIONS,
    )  # fmt: skip
    model = imported(original)
    assert op_types(model) == ["Mul", "Softmax", "Mul", "Softmax"]
    assert not model.functions
    x = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    y, z, w = run(model, {"x": x})
    softmax = [np.exp(v) / np.exp(v).sum(-1, keepdims=True) for v in (3 * x, 6 * x)]
    np.testing.assert_allclose(y, 3 * x, rtol=1e-6)
    np.testing.assert_allclose(w, softmax[0], rtol=1e-5)
    np.testing.assert_allclose(z, softmax[1], rtol=1e-5)


def test_a_call_with_too_many_inputs_is_refused(refused):
    refused(
        text("float[2,3] x", "float[2,3] y", "y = local.twice(x, x)", rest=FUNCTIONS),
        "local.twice 'y' passes 2 inputs",
    )
