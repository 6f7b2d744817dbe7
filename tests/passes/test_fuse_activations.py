import numpy as np
import pytest

from octavo.passes.fuse_activations import FuseActivations

SCALARS = {
    "half": np.float32(0.5),
    "one": np.float32(1.0),
    "three": np.float32(3.0),
    "six": np.float32(6.0),
    "zero": np.float32(0.0),
    "root2": np.float32(1.4142135),
    "rsqrt2": np.float32(0.70710677),
    "c": np.float32(0.044715),
    "k": np.float32(0.7978846),
}

GELU_ERF = "d = Div(x, root2) e = Erf(d) s = Add(e, one) m = Mul(x, s) y = Mul(m, half)"
GELU_ERF_OTHER = "d = Mul(x, rsqrt2) e = Erf(d) s = Add(one, e) h = Mul(half, x) y = Mul(h, s)"
GELU_TANH = """q = Pow(x, three) w = Mul(c, q) u = Add(x, w) t = Mul(k, u) e = Tanh(t)
    s = Add(one, e) h = Mul(x, half) y = Mul(h, s)"""
HARD_SWISH = "a = Add(x, three) b = Clip(a, zero, six) m = Mul(x, b) y = Div(m, six)"
HARD_SWISH_GATE = "a = HardSigmoid<alpha=0.16666667, beta=0.5>(x) y = Mul(x, a)"
HARD_SIGMOID = "a = Add(x, three) b = Clip(a, zero, six) y = Div(b, six)"
MISH = "p = Softplus(x) t = Tanh(p) y = Mul(x, t)"


@pytest.mark.parametrize(
    ("nodes", "op_type"),
    [
        (GELU_ERF, "Gelu"),
        (GELU_ERF_OTHER, "Gelu"),
        (GELU_TANH, "Gelu"),
        (HARD_SWISH, "HardSwish"),
        (HARD_SWISH_GATE, "HardSwish"),
        (HARD_SIGMOID, "HardSigmoid"),
        (MISH, "Mish"),
    ],
)
def test_every_spelling_becomes_one_operator(build, run, nodes, op_type):
    graph = f"g (float[1,64] x) => (float[1,64] y) {{ {nodes} }}"
    used = {name: value for name, value in SCALARS.items() if name in nodes}
    model = build(graph, **used)
    x = np.linspace(-8, 8, 64, dtype=np.float32)[None]
    before = run(model, x=x)["y"]
    assert FuseActivations()(model).modified
    assert [node.op_type for node in model.graph] == [op_type]
    assert np.abs(run(model, x=x)["y"] - before).max() < 2e-5
    assert not FuseActivations()(model).modified


def test_tanh_gelu_keeps_its_approximation(build):
    used = {name: value for name, value in SCALARS.items() if name in GELU_TANH}
    model = build(f"g (float[1,4] x) => (float[1,4] y) {{ {GELU_TANH} }}", **used)
    FuseActivations()(model)
    assert model.graph[0].attributes["approximate"].as_string() == "tanh"


def test_silu_has_no_operator_of_its_own_and_stays(build):
    model = build("g (float[1,4] x) => (float[1,4] y) { s = Sigmoid(x) y = Mul(x, s) }")
    assert not FuseActivations()(model).modified


def test_a_value_that_is_read_elsewhere_is_kept(build):
    graph = f"g (float[1,4] x) => (float[1,4] y, float[1,4] e) {{ {GELU_ERF} }}"
    used = {name: value for name, value in SCALARS.items() if name in GELU_ERF}
    assert not FuseActivations()(build(graph, **used)).modified


def test_an_operator_newer_than_the_opset_is_not_used(build):
    used = {name: value for name, value in SCALARS.items() if name in GELU_ERF}
    model = build(f"g (float[1,4] x) => (float[1,4] y) {{ {GELU_ERF} }}", opset=17, **used)
    assert not FuseActivations()(model).modified
