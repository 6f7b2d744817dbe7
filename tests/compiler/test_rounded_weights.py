import numpy as np
import onnx
import onnx_ir as ir
import pytest

from octavo.compiler.calibration import moment_cache
from octavo.compiler.calibration.layer_moments import gather_moments
from octavo.compiler.calibration.layer_tensors import float_tensors
from octavo.compiler.calibration.rounded_weights import RoundedWeights
from octavo.compiler.calibration.rounding_layers import find_layers
from octavo.compiler.sensitivity.variants import Variants
from octavo.errors import RecipeError
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat

GRAPH = """<ir_version: 10, opset_import: ["": 21]> g (float[1,3,8,8] x) => (float[1,5] y)
{
    [stem] a = Conv<pads = [1,1,1,1]>(x, w1, b1)
    [relu] b = Relu(a)
    [depthwise] c = Conv<group = 6, strides = [2,2]>(b, w2)
    [relu2] d = Relu(c)
    [mean] e = GlobalAveragePool(d)
    [flat] f = Flatten(e)
    [fc] y = Gemm<transB = 1>(f, w3, b3)
}"""
SHAPES = {"w1": (6, 3, 3, 3), "b1": (6,), "w2": (6, 1, 3, 3), "w3": (5, 6), "b3": (5,)}
LAYERS = ("stem", "depthwise", "fc")
W4, W3, W4A4 = LayerFormat(4, 8), LayerFormat(3, 8), LayerFormat(4, 4)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(1)
    smooth = rng.normal(size=(24, 1, 1, 8, 8)) + 0.3 * rng.normal(size=(24, 1, 3, 8, 8))
    return [{"x": x.astype(np.float32)} for x in smooth]


@pytest.fixture(scope="module")
def variants(samples):
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(GRAPH)
    for name, shape in SHAPES.items():
        array = rng.normal(size=shape, scale=0.5).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return Variants(ir.from_proto(onnx.shape_inference.infer_shapes(proto)), samples)


def _constants(variants, quantized):
    """Integers, scales and bias of each layer."""
    stored = {
        layer.name: layer.stored.stored for layer in find_layers(variants.model, quantized)[0]
    }
    return {name: (c.q, c.grid.scale, c.bias) for name, c in stored.items()}


def _assert_equal(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_layer_gets_the_same_in_every_configuration(variants, samples):
    uniform = {}
    for layer_format in (W4, W3, EIGHT_BITS):
        model = variants.quantized(dict.fromkeys(LAYERS, layer_format), base=EIGHT_BITS)
        RoundedWeights(variants.model, samples).apply(model)
        uniform[layer_format] = _constants(variants, model)
    weights = RoundedWeights(variants.model, samples)
    for formats in ((W4, EIGHT_BITS, W3), (W3, W4, EIGHT_BITS), (W4, W3, W3)):
        chosen = dict(zip(LAYERS, formats, strict=True))
        model = variants.quantized(chosen, base=EIGHT_BITS)
        assert weights.apply(model) is model
        found = _constants(variants, model)
        for name, layer_format in chosen.items():
            _assert_equal(found[name], uniform[layer_format][name])


def test_what_is_known_is_not_computed_again(variants, samples, monkeypatch):
    weights = RoundedWeights(variants.model, samples)
    for layer_format in (W4, W3):
        weights.apply(variants.quantized(dict.fromkeys(LAYERS, layer_format)))

    def fail(*_: object) -> None:
        raise AssertionError("moments were gathered again")

    monkeypatch.setattr(moment_cache, "gather_moments", fail)
    mixed = variants.quantized({"stem": W4, "depthwise": W3, "fc": W4})
    records = weights.round(mixed).layers
    assert [record.layer for record in records] == list(LAYERS)
    with pytest.raises(AssertionError, match="gathered again"):
        weights.apply(variants.quantized({"stem": W4A4}))


def test_moments_that_do_not_fit_are_gathered_again(variants, samples, monkeypatch):
    expected = variants.quantized(dict.fromkeys(LAYERS, W3))
    RoundedWeights(variants.model, samples).apply(expected)
    largest = max(x.moments_bytes for x in find_layers(variants.model, expected)[0])
    monkeypatch.setattr(moment_cache, "MAX_MOMENT_BYTES", largest)
    weights = RoundedWeights(variants.model, samples)
    for layer_format in (W4, W3):
        model = variants.quantized(dict.fromkeys(LAYERS, layer_format))
        weights.apply(model)
    constants = _constants(variants, expected)
    for name, found in _constants(variants, model).items():
        _assert_equal(found, constants[name])


def test_no_output_has_a_larger_error_on_the_samples_set_aside(variants, samples):
    formats = {"stem": W3, "depthwise": W4A4, "fc": W3}
    nearest = variants.quantized(formats)
    rounded = variants.quantized(formats)
    records = RoundedWeights(variants.model, samples).round(rounded).layers
    errors = []
    for model in (nearest, rounded):
        layers, _ = find_layers(variants.model, model)
        halves = gather_moments(float_tensors(variants.model, layers, samples), layers)
        stored = [layer.stored.stored for layer in layers]
        errors.append(
            [h.checking.error(c.weight, c.bias) for h, c in zip(halves, stored, strict=True)]
        )
    for record, before, after in zip(records, *errors, strict=True):
        # Biases and scales are stored in float32, or in steps of the accumulator.
        assert (after <= before * (1 + 1e-3)).all()
        assert record.error_before == pytest.approx(before.mean(), rel=1e-6)
        assert record.error_after == pytest.approx(after.mean(), rel=1e-2)
        assert after.sum() < before.sum()


def test_more_bits_are_left_nearest_unless_wanted(variants, samples):
    formats = {"stem": W4, "depthwise": EIGHT_BITS, "fc": EIGHT_BITS}
    plain = _constants(variants, variants.quantized(formats, base=EIGHT_BITS))
    model = variants.quantized(formats, base=EIGHT_BITS)
    result = RoundedWeights(variants.model, samples).round(model)
    assert [record.layer for record in result.layers] == ["stem"]
    found = _constants(variants, model)
    for name in ("depthwise", "fc"):
        _assert_equal(found[name], plain[name])
    every = RoundedWeights(variants.model, samples, max_bits=8).round(model)
    assert [record.layer for record in every.layers] == list(LAYERS)


def test_a_method_that_changes_what_layers_read_is_refused(variants, samples):
    with pytest.raises(RecipeError, match="'adaquant' of single layers; allowed: adaround"):
        RoundedWeights(variants.model, samples, rounding="adaquant")
