"""Quantizing a transformer block whose outliers sit in few channels."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from octavo.compiler.calibration.balance import MULTIPLICATION_REASON, Balanced
from octavo.compiler.calibration.channel_statistics import measure_channels
from octavo.compiler.calibration.layer_errors import measure_outputs
from octavo.compiler.calibration.suggest import Suggestion
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import get_recipe

WIDTH, HIDDEN, ROWS = 32, 256, 12
BLOCK = f"""g (float[1,{ROWS},{WIDTH}] x) => (float[1,{ROWS},{WIDTH}] z) {{
    [embed] e = Add(x, positions)
    [norm] n = LayerNormalization(e, gamma, beta)
    [up] a = MatMul(n, w1)
    [up_bias] b = Add(a, b1)
    [act] h = Gelu(b)
    [down] c = MatMul(h, w2)
    [down_bias] d = Add(c, b2)
    [add] s = Add(d, n)
    [last_norm] z = LayerNormalization(s, gamma2, beta)
}}"""


@pytest.fixture(scope="module")
def block() -> ir.Model:
    rng = np.random.default_rng(3)
    gamma = np.ones(WIDTH, np.float32)
    gamma[5] = 20.0
    w1 = rng.normal(size=(WIDTH, HIDDEN)) / np.sqrt(WIDTH)
    w1[5] /= 20.0
    w1[:, [9, 77]] *= 12.0
    w2 = rng.normal(size=(HIDDEN, WIDTH)) / np.sqrt(HIDDEN)
    arrays = {
        "positions": rng.normal(size=(1, ROWS, WIDTH)),
        "gamma": gamma,
        "gamma2": np.ones(WIDTH),
        "beta": np.zeros(WIDTH),
        "w1": w1,
        "b1": np.zeros(HIDDEN),
        "w2": w2,
        "b2": np.zeros(WIDTH),
    }
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> {BLOCK}')
    for name, array in arrays.items():
        value = onnx.numpy_helper.from_array(array.astype(np.float32), name)
        proto.graph.initializer.append(value)
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto, data_prop=True))


@pytest.fixture(scope="module")
def samples():
    return inputs(seed=1)


def inputs(seed):
    rng = np.random.default_rng(seed)
    return [{"x": rng.normal(size=(1, ROWS, WIDTH)).astype(np.float32)} for _ in range(24)]


def quality_db(block, samples, **options):
    recipe = get_recipe("static_wi8_ai8", **options)
    result = quantize_model(block, samples, recipe=recipe, measure=False)
    return measure_outputs(block, result.model, inputs(seed=2))["z"]


def test_balanced_channels_are_worth_more_than_a_bit(block, samples):
    plain = quality_db(block, samples, balance_channels=False)
    assert quality_db(block, samples) > plain + 6.0


def test_it_is_the_default_and_says_what_it_added(block, samples):
    result = quantize_model(block, samples)
    assert result.recipe.balance_channels
    names = {node.name for node in result.model.graph}
    assert {"up_outliers", "down_outliers", "norm_smooth"} <= names
    assert result.float_nodes["norm_smooth"] == MULTIPLICATION_REASON
    # Both products of a split layer are measured.
    assert {"up", "up_outliers"} <= {error.layer for error in result.errors}


def test_suggestions_name_layers_that_the_user_knows(block, samples, monkeypatch):
    seen = []

    def suggest(errors, output_sqnr_db, measure, **options):
        seen.extend(error.layer for error in errors)
        return Suggestion(("up",), output_sqnr_db, measure(["up"]))

    monkeypatch.setattr("octavo.compiler.quantize.suggest_keep_float", suggest)
    suggestion = quantize_model(block, samples).suggestion
    assert {"up", "down"} <= set(seen) <= {node.name for node in block.graph}
    # All parts of the layer went to float: it was the noisiest.
    assert suggestion.sqnr_after_db > suggestion.sqnr_before_db
    assert Balanced(origins={"up_outliers": "up"}).with_parts(["up"]) == ("up", "up_outliers")


def test_layers_that_stay_in_float_are_not_touched(block, samples):
    result = quantize_model(block, samples, keep_float=["up", "down"], measure=False)
    names = {node.name for node in result.model.graph}
    assert not {"up_outliers", "norm_smooth"} & names


def test_without_float_normalization_nothing_is_added_in_float(block, samples):
    recipe = get_recipe("static_wi8_ai8", float_normalization=False)
    result = quantize_model(block, samples, recipe=recipe, measure=False)
    assert not any("smooth" in (node.name or "") for node in result.model.graph)


def test_statistics_are_those_of_each_channel(block, samples):
    (value,) = (node.outputs[0] for node in block.graph if node.name == "norm")
    measured = measure_channels(block, [value], samples)["n"]
    positions = block.graph.initializers["positions"].const_value.numpy()
    x = np.concatenate([sample["x"][0] + positions[0] for sample in samples])
    centered = x - x.mean(axis=1, keepdims=True)
    expected = centered / np.sqrt(centered.var(axis=1, keepdims=True) + 1e-5)
    expected[:, 5] *= 20.0
    np.testing.assert_allclose(measured.high, expected.max(axis=0), rtol=1e-4)
    np.testing.assert_allclose(measured.low, expected.min(axis=0), rtol=1e-4)
    np.testing.assert_allclose(
        measured.mean_square, np.square(expected).mean(axis=0), rtol=1e-4
    )


def test_statistics_leave_out_what_is_not_finite(block):
    (value,) = (node.outputs[0] for node in block.graph if node.name == "norm")
    broken = [{"x": np.full((1, ROWS, WIDTH), np.nan, np.float32)}]
    assert measure_channels(block, [value], broken) == {}
