import numpy as np
import pytest

from octavo.passes.normalize_gemm import NormalizeGemm


def gemm(attributes, constants, computed=""):
    return f"""g (float[3,4] x{computed}) => (float[3,5] y) {{
        [fc] y = Gemm<{attributes}>(x, {constants})
    }}"""


@pytest.mark.parametrize(
    ("attributes", "weight", "bias", "op_types"),
    [
        ("alpha=0.5, beta=2.0", (4, 5), (5,), ["Gemm"]),
        ("alpha=2.0, transB=1", (5, 4), (1, 5), ["Gemm"]),
        ("beta=3.0", (4, 5), (), ["Gemm"]),
        ("beta=0.5, alpha=0.5, transB=1", (5, 4), (3, 5), ["MatMul", "Add"]),
    ],
)
def test_constants_take_the_factors(build, run, rng, attributes, weight, bias, op_types):
    model = build(
        gemm(attributes, "w, c"),
        w=rng.normal(size=weight).astype(np.float32),
        c=rng.normal(size=bias).astype(np.float32),
    )
    x = rng.normal(size=(3, 4)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert NormalizeGemm()(model).modified
    assert [node.op_type for node in model.graph] == op_types
    assert np.abs(run(model, x=x)["y"] - before).max() < 1e-5
    assert not NormalizeGemm()(model).modified


def test_two_computed_matrices_become_a_matmul(build, run, rng):
    graph = gemm("transB=1, alpha=0.5, beta=2.0", "b, c", ", float[5,4] b, float[5] c")
    model = build(graph)
    feeds = {
        "x": rng.normal(size=(3, 4)).astype(np.float32),
        "b": rng.normal(size=(5, 4)).astype(np.float32),
        "c": rng.normal(size=5).astype(np.float32),
    }
    before = run(model, **feeds)["y"]
    assert NormalizeGemm()(model).modified
    assert "Gemm" not in [node.op_type for node in model.graph]
    assert np.abs(run(model, **feeds)["y"] - before).max() < 1e-5


def test_a_transposed_first_operand_is_transposed_explicitly(build, run, rng):
    graph = """g (float[4,3] x) => (float[3,5] y) { [fc] y = Gemm<transA=1>(x, w, c) }"""
    weights = {
        "w": rng.normal(size=(4, 5)).astype(np.float32),
        "c": rng.normal(size=5).astype(np.float32),
    }
    model = build(graph, **weights)
    x = rng.normal(size=(4, 3)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert NormalizeGemm()(model).modified
    assert [node.op_type for node in model.graph] == ["Transpose", "Gemm"]
    assert np.abs(run(model, x=x)["y"] - before).max() < 1e-5
    assert not NormalizeGemm()(model).modified


def test_the_normal_form_is_left_alone(build, rng):
    model = build(
        gemm("transB=1", "w, c"),
        w=np.ones((5, 4), np.float32),
        c=np.ones(5, np.float32),
    )
    assert not NormalizeGemm()(model).modified
