"""Layers in float get back the weights that they had, the others keep their integers."""

import numpy as np
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.passes.quantize_weights import QuantizeWeights
from octavo.passes.quantizer_options import QuantizerOptions
from octavo.passes.restore_float_weights import RestoreFloatWeights

GRAPH = """g (float[1,4] x) => (float[1,3] y) {
    [first] p = MatMul(x, w) [second] q = MatMul(p, v) [bias] y = Add(q, b)
}"""


def test_only_the_named_layers_are_restored(build, run, rng):
    weights = {
        "w": rng.normal(size=(4, 5)).astype(np.float32),
        "v": rng.normal(size=(5, 3)).astype(np.float32),
        "b": rng.normal(size=3).astype(np.float32),
    }
    original = build(GRAPH, **weights)
    quantized = original.clone()
    QuantizeWeights(QuantizerOptions())(quantized)
    x = rng.normal(size=(1, 4)).astype(np.float32)
    exact, rounded = (run(model, x=x)["y"] for model in (original, quantized))
    assert np.abs(exact - rounded).max() > 1e-4

    partly = quantized.clone()
    assert RestoreFloatWeights(original, {"first", "bias", "unknown"})(partly).modified
    RemoveUnusedNodesPass()(partly)
    assert [node.op_type for node in partly.graph].count("DequantizeLinear") == 1
    assert RestoreFloatWeights(original, {"second"})(partly).modified
    RemoveUnusedNodesPass()(partly)
    np.testing.assert_array_equal(run(partly, x=x)["y"], exact)
    assert not RestoreFloatWeights(original, {"first", "second"})(partly).modified
