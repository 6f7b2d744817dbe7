import numpy as np
import pytest
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.passes.fuse_layer_norm import FuseLayerNorm

HEAD = "mean = ReduceMean<keepdims=1>(x, axes) d = Sub(x, mean) "
TAIL = " v = ReduceMean<keepdims=1>(s, axes) e = Add(v, eps) r = Sqrt(e) n = Div(d, r) "


@pytest.mark.parametrize("square", ["s = Pow(d, two)", "s = Mul(d, d)"])
@pytest.mark.parametrize(
    "affine", ["t = Mul(n, g) y = Add(t, b)", "y = Mul(n, g)", "y = Identity(n)"]
)
def test_primitive_operators_become_one(build, run, rng, square, affine):
    nodes = HEAD + square + TAIL + affine
    weights = {
        "axes": np.array([-1]),
        "eps": np.float32(1e-5),
        "two": np.float32(2.0),
        "g": rng.normal(size=8).astype(np.float32),
        "b": rng.normal(size=8).astype(np.float32),
    }
    used = {k: v for k, v in weights.items() if f" {k})" in nodes or f"{k}," in nodes}
    model = build(f"g (float[2,3,8] x) => (float[2,3,8] y) {{ {nodes} }}", **used)
    x = rng.normal(size=(2, 3, 8)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert FuseLayerNorm()(model).modified
    RemoveUnusedNodesPass()(model)
    op_types = [node.op_type for node in model.graph]
    assert op_types[0] == "LayerNormalization"
    assert "ReduceMean" not in op_types
    # Rounding of a sum of eight numbers of size one, normalized.
    assert np.abs(run(model, x=x)["y"] - before).max() < 1e-5
    assert not FuseLayerNorm()(model).modified


def test_another_axis_is_not_layer_normalization(build):
    nodes = HEAD + "s = Mul(d, d)" + TAIL + "y = Identity(n)"
    model = build(
        f"g (float[2,3,8] x) => (float[2,3,8] y) {{ {nodes} }}",
        axes=np.array([1]),
        eps=np.float32(1e-5),
    )
    assert not FuseLayerNorm()(model).modified
