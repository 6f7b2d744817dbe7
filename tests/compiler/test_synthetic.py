"""Samples that are made up from what BatchNormalization nodes store."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.calibration.synthetic import NUM_IMAGES, make_samples
from octavo.compiler.data_source import open_data
from octavo.compiler.importer import import_model
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import get_recipe
from octavo.errors import DataError, ModelError

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
GRAPH = """<ir_version: 10, opset_import: ["": 21]>
g (float[1,2,6,6] x) => (float[1,4] y) {
    a = Conv<pads = [1,1,1,1]>(x, w1)
    [first] b = BatchNormalization(a, gamma, beta, mean, var)
    c = OPERATOR(b)
    d = Conv<strides = [2,2]>(c, w2)
    [second] e = BatchNormalization(d, gamma, beta, mean, var)
    f = GlobalAveragePool(e)
    y = Flatten(f)
}"""


def build(operator="Relu", text=GRAPH):
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(text.replace("OPERATOR", operator))
    weights = {
        "w1": rng.normal(size=(4, 2, 3, 3)), "w2": rng.normal(size=(4, 4, 3, 3)) / 4,
        "gamma": rng.uniform(0.5, 1, 4), "beta": rng.normal(size=4),
        "mean": rng.normal(size=4) / 4, "var": rng.uniform(0.5, 1.5, 4),
    }  # fmt: skip
    for name, array in weights.items():
        tensor = onnx.numpy_helper.from_array(array.astype(np.float32), name)
        proto.graph.initializer.append(tensor)
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def test_moments_of_the_batch_come_to_what_is_stored():
    """Measured here on their own, over all images and positions."""
    model = build()
    made = make_samples(model)
    assert [error.node for error in made.errors] == ["first", "second"]
    stored = {
        name: model.graph.initializers[name].const_value.numpy() for name in ("mean", "var")
    }
    inputs = [node.inputs[0] for node in model.graph if node.op_type == "BatchNormalization"]
    run = ReferenceRun(model, inputs)
    runs = [run.run(sample) for sample in made]
    for value, error in zip(inputs, made.errors, strict=True):
        x = np.concatenate([found[value.name] for found in runs]).astype(np.float64)
        mean, deviation = x.mean(axis=(0, 2, 3)), x.std(axis=(0, 2, 3))
        squares = np.square(mean - stored["mean"]) + np.square(
            deviation - np.sqrt(stored["var"])
        )
        assert error.after == pytest.approx(squares.sum() / stored["var"].sum(), rel=1e-3)
        assert error.after < 0.1 * error.before


def test_a_seed_decides_the_samples_and_a_limit_their_number():
    model = build()
    first, same, other = (
        [s["x"] for s in make_samples(model, max_samples=3, num_steps=2, seed=seed)]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert np.abs(np.subtract(first, other)).max() > 0.1
    assert np.shape(first) == (3, 1, 2, 6, 6)
    assert len(make_samples(model, max_samples=1000, num_steps=1)) == NUM_IMAGES
    with pytest.raises(DataError, match="max_samples is 0"):
        make_samples(model, max_samples=0)


def test_what_was_made_is_used_as_it_is():
    model = build()
    made = make_samples(model, max_samples=2, num_steps=1)
    assert open_data(made, model) is made


def test_a_model_without_stored_moments_is_refused():
    text = "<ir_version: 10, opset_import: ['': 21]>".replace("'", '"') + (
        "g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }"
    )
    model = ir.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text)))
    with pytest.raises(DataError, match=r"the model has none .*; give samples"):
        make_samples(model)


def test_an_operator_without_a_derivative_is_named():
    with pytest.raises(ModelError, match=r"Round '.*': no derivative of this operator"):
        make_samples(build("Round"))


@pytest.fixture(scope="module")
def digits():
    return import_model(DIGITS / "digits.onnx")


def accuracy(model, samples, activation_bits):
    recipe = get_recipe("static_wi8_ai8", activation_bits=activation_bits)
    quantized = quantize_model(model, samples, recipe=recipe, measure=False).model
    run = ReferenceRun(quantized, list(quantized.graph.outputs))
    with np.load(DIGITS / "test.npz") as data:
        images, labels = data["image"], data["label"]
    guesses = [int(run.run({"image": image[None]})["logits"].argmax()) for image in images]
    return 100.0 * float(np.mean(guesses == labels))


def test_digits_lose_no_more_with_synthetic_than_with_real_samples(digits):
    """Half a point at 8 bits, three at 4, where noise costs twenty."""
    with np.load(DIGITS / "calibration.npz") as data:
        real = [{"image": image[None]} for image in data["image"]]
    rng = np.random.default_rng(0)
    noise = [{"image": rng.normal(size=(1, 1, 8, 8)).astype(np.float32)} for _ in real]
    made = make_samples(digits)
    assert len(made.errors) == 5
    assert all(error.after < 0.1 * error.before for error in made.errors)
    assert accuracy(digits, made, 8) >= accuracy(digits, real, 8) - 0.5
    with_real = accuracy(digits, real, 4)
    assert accuracy(digits, made, 4) >= with_real - 3.0
    assert accuracy(digits, noise, 4) <= with_real - 20.0


def test_the_result_says_that_the_samples_were_made_up(digits):
    result = quantize_model(digits, "synthetic", max_samples=4, measure=False)
    assert result.num_samples == 4
    assert result.notes[0].startswith("the 4 samples are synthetic, made from 5 Batch")
