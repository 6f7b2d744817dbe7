import numpy as np
import onnx_ir as ir
import pytest

from octavo.passes.quantize_weights import QuantizeWeights
from octavo.passes.quantizer_options import LayerOverride, QuantizerOptions

GRAPH = """g (float[1,3,6,6] x) => (float[1,5] y) {
    [conv] t = Conv(x, w, b) [pool] p = GlobalAveragePool(t) [flat] f = Flatten(p)
    [fc] y = Gemm<transB=1>(f, w2, b2)
}"""


def model_of(build, rng, **kwargs):
    weights = {
        "w": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "b": rng.normal(size=4).astype(np.float32),
        "w2": rng.normal(size=(5, 4)).astype(np.float32),
        "b2": rng.normal(size=5).astype(np.float32),
    }
    return build(GRAPH, **kwargs, **weights), weights


def test_only_weights_become_integers(build, run, rng):
    model, weights = model_of(build, rng)
    x = rng.uniform(-1, 1, (1, 3, 6, 6)).astype(np.float32)
    before = run(model, x=x)["y"]
    assert QuantizeWeights(QuantizerOptions())(model).modified
    op_types = [node.op_type for node in model.graph]
    assert op_types.count("DequantizeLinear") == 2
    assert "QuantizeLinear" not in op_types
    assert model.graph.initializers["w2_quantized"].const_value.numpy().dtype == np.int8
    after = run(model, x=x)["y"]
    # Half a step for each weight: 27 taps into each of 4 features, then 4 features.
    conv = 27 * np.abs(weights["w"]).max() / 254
    features = np.abs(weights["w"]).sum(axis=(1, 2, 3)).max() + np.abs(weights["b"]).max()
    bound = np.abs(weights["w2"]).sum(axis=1).max() * conv + 4 * (features + conv) * (
        np.abs(weights["w2"]).max() / 254
    )
    assert 0 < np.abs(after - before).max() <= bound
    assert not QuantizeWeights(QuantizerOptions())(model).modified


def test_layers_kept_in_float_keep_their_weights(build, rng):
    model, _ = model_of(build, rng)
    options = QuantizerOptions(overrides=(LayerOverride(match="Conv", keep_float=True),))
    QuantizeWeights(options)(model)
    assert "w_quantized" not in model.graph.initializers
    assert "w2_quantized" in model.graph.initializers


def test_old_opset_is_refused(build):
    model = build("g (float[4] x) => (float[4] y) { y = Relu(x) }", opset=12)
    with pytest.raises(ir.passes.PreconditionError, match="opset 13"):
        QuantizeWeights(QuantizerOptions())(model)
