import numpy as np
import onnx
import onnx_ir as ir
import pytest

from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.calibration.round_layers import round_layers
from octavo.compiler.calibration.round_model import round_model
from octavo.compiler.calibration.rounding_layers import find_layers
from octavo.compiler.quantize import quantize_model
from octavo.errors import RecipeError
from octavo.passes.layer_format import LayerFormat
from octavo.passes.prepare import prepare
from octavo.passes.rounding.activation_grid import activation_grid
from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.rounding.methods import ADAQUANT, MOMENT_METHODS, ROUNDING_MODES
from octavo.passes.rounding.stored_layer import Choice

GRAPH = """<ir_version: 10, opset_import: ["": 21]> g (float[1,3,8,8] x) => (float[1,5] y)

{
    [stem] a = Conv<pads = [1,1,1,1]>(x, w1, b1)
    [relu] b = Relu(a)
    [depthwise] c = Conv<group = 6, strides = [2,2]>(b, w2, b2)
    [relu2] d = Relu(c)
    [mean] e = GlobalAveragePool(d)
    [flat] f = Flatten(e)
    [hidden] h = MatMul(f, w3)
    [hidden_bias] i = Add(h, b3)
    [relu3] j = Relu(i)
    [fc] y = Gemm<transB = 1>(j, w4, b4)
}"""
SHAPES = {
    "w1": (6, 3, 3, 3),
    "b1": (6,),
    "w2": (6, 1, 3, 3),
    "b2": (6,),
    "w3": (6, 16),
    "b3": (16,),
    "w4": (5, 16),
    "b4": (5,),
}


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(GRAPH)
    for name, shape in SHAPES.items():
        array = rng.normal(size=shape, scale=0.5).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return prepare(ir.from_proto(onnx.shape_inference.infer_shapes(proto)))


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(1)
    smooth = rng.normal(size=(24, 1, 1, 8, 8)) + 0.3 * rng.normal(size=(24, 1, 3, 8, 8))
    return [{"x": x.astype(np.float32)} for x in smooth]


@pytest.fixture(scope="module")
def nearest(network, samples):
    """Weights of three bits, rounded to nearest."""
    quantized = quantize_model(network, samples, measure=False).model
    for layer in find_layers(network, quantized)[0]:
        scale = np.abs(layer.weight).max(axis=2, keepdims=True) / np.float32(3)
        grid = WeightGrid(scale.astype(np.float64), 3)
        bias = layer.stored.stored.bias
        assert layer.stored.write(Choice(grid.nearest(layer.weight), grid, bias))
    return quantized


def _noise(network, quantized, samples):
    runs = [ReferenceRun(model, list(model.graph.outputs)) for model in (network, quantized)]
    pairs = [tuple(next(iter(run.run(sample).values())) for run in runs) for sample in samples]
    return sum(float(np.square(a - b).sum()) for a, b in pairs)


def _constants(model):
    return {
        name: value.const_value.numpy() for name, value in model.graph.initializers.items()
    }


@pytest.mark.parametrize("mode", ROUNDING_MODES)
@pytest.mark.parametrize("rounding", [*MOMENT_METHODS, ADAQUANT])
def test_no_layer_gets_worse_and_the_network_better(network, nearest, samples, rounding, mode):
    quantized = nearest.clone()
    result = round_layers(network, quantized, samples, rounding=rounding, mode=mode)
    assert [layer.layer for layer in result.layers] == ["stem", "depthwise", "hidden", "fc"]
    assert not result.skipped
    for layer in result.layers:
        assert 0 < layer.error_after <= layer.error_before
        assert layer.num_changed < layer.num_weights
    assert sum(layer.num_changed for layer in result.layers) > 0
    fresh = [{"x": s["x"][:, :, ::-1].copy()} for s in samples]
    assert _noise(network, quantized, fresh) < 0.5 * _noise(network, nearest, fresh)


def test_integers_stay_in_their_format(network, nearest, samples):
    quantized = nearest.clone()
    round_layers(network, quantized, samples, rounding="second_order")
    before, after = _constants(nearest), _constants(quantized)
    assert list(before) == list(after)
    for name, array in before.items():
        assert (array.dtype, array.shape) == (after[name].dtype, after[name].shape)
    for layer in find_layers(network, quantized)[0]:
        assert np.abs(layer.stored.stored.q).max() <= 3
    onnx.checker.check_model(ir.to_proto(quantized), full_check=True)


def test_a_bias_keeps_the_scale_of_the_accumulator(network, nearest, samples):
    quantized = nearest.clone()
    round_layers(network, quantized, samples, rounding="second_order")
    for layer in find_layers(network, quantized)[0]:
        node = layer.stored.node
        if node.op_type == "MatMul":
            continue
        x, w, b = (value.producer().inputs[1].const_value.numpy() for value in node.inputs)
        np.testing.assert_array_equal(b, x * w)


def test_nearest_changes_nothing(network, nearest, samples):
    quantized = nearest.clone()
    assert not round_layers(network, quantized, samples, rounding="nearest").layers
    before, after = _constants(nearest), _constants(quantized)
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name])


def test_the_same_samples_give_the_same_model(network, nearest, samples):
    models = [nearest.clone() for _ in range(2)]
    for model in models:
        round_layers(network, model, samples, rounding="second_order", mode="parallel")
    first, second = (
        ir.to_proto(model).SerializeToString(deterministic=True) for model in models
    )
    assert first == second


def test_a_weight_with_two_readers_is_left_alone(samples):
    proto = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["": 21]>
        g (float[1,3,8,8] x) => (float[1,3,8,8] y) {
            [one] a = Conv(x, w) [relu] b = Relu(a) [two] y = Conv(b, w)
        }""")
    weight = np.random.default_rng(0).normal(size=(3, 3, 1, 1)).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    model = prepare(ir.from_proto(onnx.shape_inference.infer_shapes(proto)))
    quantized = quantize_model(model, samples, measure=False).model
    result = round_layers(model, quantized, samples, rounding="second_order")
    assert not result.layers
    assert set(result.skipped) == {"one", "two"}


def test_unknown_names_are_refused(network, nearest, samples):
    with pytest.raises(RecipeError, match="'up'; allowed: nearest, retuned"):
        round_layers(network, nearest, samples, rounding="up")
    with pytest.raises(RecipeError, match="'both'; allowed: sequential, parallel"):
        round_layers(network, nearest, samples, rounding="adaround", mode="both")


@pytest.mark.parametrize("mode", ROUNDING_MODES)
def test_retuning_never_agrees_less(network, nearest, samples, mode):
    before = _constants(nearest)
    for rounding in ("retuned", "second_order"):
        result, model = round_model(network, nearest, samples, rounding=rounding, mode=mode)
        retuning = result.retuning
        assert retuning.after.share >= retuning.before.share
        assert retuning.after.sqnr_db >= retuning.before.sqnr_db
        assert (retuning.kind == "none") == (retuning.after == retuning.before)
        assert _noise(network, model, samples) < _noise(network, nearest, samples)
        assert bool(result.layers) == (rounding != "retuned")
    after = _constants(nearest)
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name])


@pytest.mark.parametrize("bits", [2, 4])
def test_learned_activations_stay_in_their_bits(network, samples, bits):
    configuration = {
        name: LayerFormat(3, bits) for name in ("stem", "depthwise", "hidden", "fc")
    }
    nearest = quantize_model(
        network, samples, measure=False, configuration=configuration
    ).model
    _, model = round_model(network, nearest, samples, rounding="adaquant")
    assert _noise(network, model, samples) < _noise(network, nearest, samples)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    changed = 0
    for old, new in zip(nearest.graph, model.graph, strict=True):
        if new.op_type != "QuantizeLinear":
            continue
        before, after = (
            activation_grid(n.outputs[0].consumers()[0].outputs[0]) for n in (old, new)
        )
        assert (after.qmin, after.qmax) == (before.qmin, before.qmax)
        assert after.scale <= before.scale
        changed += after.scale < before.scale
    assert changed
