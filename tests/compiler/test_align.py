"""Recipes that align the channels of normalized tensors."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import get_recipe
from octavo.compiler.sensitivity.output_losses import relative_error

GRAPH = """<ir_version: 10, opset_import: ["": 21]>
g (float[1,16,32] x) => (float[1,16,32] y)
{
    [norm] n = LayerNormalization(x, gamma, beta)
    [first] a = MatMul(n, w1)
    [bias] b = Add(a, b1)
    [relu] c = Relu(b)
    [second] y = MatMul(c, w2)
}"""


@pytest.fixture(scope="module")
def network():
    """Channels of the normalized tensor lie apart, and each weighs the same in the sum."""
    rng = np.random.default_rng(0)
    gamma = np.geomspace(1, 20, 32)
    weights = {
        "gamma": gamma, "beta": 3 * gamma * rng.normal(size=32),
        "w1": rng.normal(size=(32, 32)) / gamma[:, None], "b1": rng.normal(size=32),
        "w2": rng.normal(size=(32, 32)),
    }  # fmt: skip
    proto = onnx.parser.parse_model(GRAPH)
    for name, array in weights.items():
        tensor = onnx.numpy_helper.from_array(array.astype(np.float32), name)
        proto.graph.initializer.append(tensor)
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def decibels(model, samples, **options):
    recipe = get_recipe("static_wi8_ai8", balance_channels=False, **options)
    quantized = quantize_model(model, samples, recipe=recipe, measure=False).model
    exact, changed = (
        [ReferenceRun(m, list(m.graph.outputs)).run(sample) for sample in samples]
        for m in (model, quantized)
    )
    return -10 * np.log10(relative_error(exact, changed))


def test_a_recipe_aligns_channels_where_it_says_so(network):
    rng = np.random.default_rng(1)
    samples = [{"x": rng.normal(size=(1, 16, 32)).astype(np.float32)} for _ in range(8)]
    before = decibels(network, samples)
    assert decibels(network, samples, align_channels=True) > before + 3.0
    assert decibels(network, samples, align_channels=False) == before
