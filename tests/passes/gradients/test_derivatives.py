"""Gradients of whole graphs, what has no derivative, and that every rule is tested."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from tests.passes.gradients.central_differences import check, derive
from tests.passes.gradients.double_precision import evaluator

from octavo.errors import ModelError
from octavo.passes.gradients.derivatives import DERIVATIVES


def test_a_tensor_that_is_read_often_gets_the_sum(rng):
    text = """g (double[2,3] x) => (double[2,3] y, double[2,3] z) {
        a = Tanh(x)
        b = Mul(a, x)
        y = Add(a, b)
        z = Mul(a, a) }"""
    check(text, {"x": rng.normal(size=(2, 3))}, rng)


def test_every_rule_is_tested():
    """A file beside this one names each operator of the table."""
    files = sorted(Path(__file__).parent.glob("test_*derivatives.py"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert [op for op in DERIVATIVES if op not in text] == []


def test_an_operator_without_a_rule_is_named():
    with pytest.raises(ModelError, match=r"Round 'nearest': no derivative of this operator"):
        derive("g (double[2] x) => (double[2] y) { [nearest] y = Round(x) }")


def test_a_weight_has_no_rule_and_is_named():
    text = """g (double[1,1,4,4] x, double[1,1,3,3] w) => (double[1,1,2,2] y) {
        [stem] y = Conv(x, w) }"""
    with pytest.raises(ModelError, match="Conv 'stem': no derivative by its input 1"):
        derive(text, (0, 1))


def test_a_value_that_does_not_matter_is_left_out():
    text = """g (float[2] x, float[2] unread) => (float[2] y) { y = Relu(x) }"""
    with pytest.raises(KeyError):
        derive(text, (1,))


def test_onnxruntime_computes_a_network_of_many_operators(rng):
    """In float32, against the same graph in double.

    With steps of 1 in both directions the indices of the reference evaluator are wrong.
    """
    text = """g ({t}[1,2,8,8] x) => ({t}[1,5] y) {{
        a = Conv<pads = [1,1,1,1], strides = [2,2]>(x, w1)
        b = BatchNormalization(a, gamma, beta, mean, var)
        c = HardSwish(b)
        d = MaxPool<kernel_shape = [2,2], strides = [2,1], pads = [1,0,0,1]>(c)
        e = Conv<group = 4, kernel_shape = [3,3], pads = [1,1,1,1]>(d, w2)
        f = Sigmoid(e)
        g1 = Mul(d, f)
        h = AveragePool<kernel_shape = [2,2], strides = [2,2]>(g1)
        i = Flatten(h)
        j = Gemm(i, w3)
        y = Softmax(j)
    }}"""
    weights = {
        "w1": rng.normal(size=(4, 2, 3, 3)), "w2": rng.normal(size=(4, 1, 3, 3)),
        "w3": rng.normal(size=(8, 5)),
        **{name: rng.uniform(0.5, 1, 4) for name in ("gamma", "beta", "mean", "var")},
    }  # fmt: skip
    x, dy = rng.normal(size=(1, 2, 8, 8)), rng.normal(size=(1, 5))
    _, exact, names = derive(text.format(t="double"), **weights)
    expected = evaluator(exact).run(names, {"x": x, "dy": dy})[0]
    small = {name: array.astype(np.float32) for name, array in weights.items()}
    _, single, names = derive(text.format(t="float"), **small)
    session = ort.InferenceSession(
        single.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = session.run(names, {"x": x.astype(np.float32), "dy": dy.astype(np.float32)})[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
