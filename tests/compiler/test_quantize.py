"""Quantizing whole models, on a trained network where accuracy means something."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.importer import import_model
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import RECIPES, get_recipe, read_overrides
from octavo.compiler.samples import open_samples
from octavo.errors import DataError, ModelError, RecipeError
from octavo.passes.prepare import prepare

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DIGITS = EXAMPLES / "digits"


@pytest.fixture(scope="module")
def digits() -> ir.Model:
    return import_model(DIGITS / "digits.onnx")


@pytest.fixture(scope="module")
def samples(digits):
    return open_samples(DIGITS / "calibration.npz", digits)


def unbalanced(tmp_path: Path, factor: float) -> ir.Model:
    from examples.digits.imbalance import unbalance

    path = tmp_path / "unbalanced.onnx"
    onnx.save(unbalance(onnx.load(DIGITS / "digits.onnx"), factor), path)
    return import_model(path)


def accuracy(model: ir.Model, data: Path = DIGITS / "test.npz") -> float:
    run = ReferenceRun(model, [model.graph.outputs[0]])
    output, name = model.graph.outputs[0].name, model.graph.inputs[0].name
    shape = tuple(model.graph.inputs[0].shape)
    with np.load(data) as held_out:
        labels = held_out["label"]
        arrays = held_out[name]
    answers = [run.run({name: x.reshape(shape)})[output].argmax() for x in arrays]
    return float(np.mean(answers == labels))


# METHODS 2.1, acceptance a to e. One point of 450 images is 4.5 images.


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("recipe", [recipe.name for recipe in RECIPES])
def test_a_accuracy_drops_at_most_one_point(digits, samples, recipe, dtype):
    result = quantize_model(digits, samples, recipe=recipe, activation_dtype=dtype)
    onnx.checker.check_model(ir.to_proto(result.model), full_check=True)
    assert accuracy(result.model) >= accuracy(digits) - 0.01


def test_b_weights_take_a_quarter(digits, samples):
    def num_bytes(model):
        return sum(
            value.const_value.nbytes
            for name, value in model.graph.initializers.items()
            if value.const_value.size > 1
        )

    result = quantize_model(digits, samples, measure=False)
    assert num_bytes(result.model) <= 0.27 * num_bytes(prepare(digits.clone()))


def test_c_unbalanced_channels_need_a_scale_per_channel(tmp_path):
    model = unbalanced(tmp_path, 32.0)
    samples = open_samples(DIGITS / "calibration.npz", model)
    recipe = get_recipe("weight_only_wi8")
    per_tensor = get_recipe("weight_only_wi8", granularity="per_tensor")
    assert accuracy(quantize_model(model, samples, recipe=recipe).model) >= 0.98
    assert accuracy(quantize_model(model, samples, recipe=per_tensor).model) < 0.7


@pytest.mark.parametrize("recipe", ["static_wi8_ai8", "static_wi8_ai8_equalized"])
def test_equalization_recovers_the_factor_128(tmp_path, recipe):
    model = unbalanced(tmp_path, 128.0)
    samples = open_samples(DIGITS / "calibration.npz", model)
    chosen = get_recipe(recipe)
    plain = replace(chosen, min_imbalance=None)
    assert accuracy(quantize_model(model, samples, recipe=chosen).model) >= (
        accuracy(model) - 0.01
    )
    assert accuracy(quantize_model(model, samples, recipe=plain).model) < 0.9


def test_e_folded_network_computes_the_same(digits):
    folded = prepare(digits.clone())
    assert "BatchNormalization" not in [node.op_type for node in folded.graph]
    name = digits.graph.inputs[0].name
    with np.load(DIGITS / "test.npz") as held_out:
        images = held_out[name][:32]
    before = ReferenceRun(digits, list(digits.graph.outputs))
    after = ReferenceRun(folded, list(folded.graph.outputs))
    for image in images:
        x, y = before.run({name: image[None]}), after.run({name: image[None]})
        (difference,) = (np.abs(x[key] - y[key]).max() for key in x)
        assert difference < 1e-5 * max(1.0, *(np.abs(v).max() for v in x.values()))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_recurrent_networks_keep_their_accuracy(cell):
    folder = EXAMPLES / "sequence"
    model = import_model(folder / f"{cell}.onnx")
    result = quantize_model(model, open_samples(folder / "calibration.npz", model))
    assert result.float_nodes == {}
    assert accuracy(result.model, folder / "test.npz") >= (
        accuracy(model, folder / "test.npz") - 0.01
    )


@pytest.mark.parametrize(
    "calibrator", ["minmax", "moving_average", "percentile", "mse", "entropy"]
)
def test_every_calibrator_keeps_the_accuracy(digits, samples, calibrator):
    result = quantize_model(digits, samples, calibrator=calibrator, measure=False)
    assert result.recipe.calibrator == calibrator
    assert accuracy(result.model) >= accuracy(digits) - 0.01


def test_the_same_inputs_give_the_same_bytes(digits, samples):
    digests = set()
    for _ in range(2):
        result = quantize_model(digits, samples, recipe="static_wi8_ai8_equalized")
        data = ir.to_proto(result.model).SerializeToString(deterministic=True)
        digests.add(hashlib.sha256(data).hexdigest())
    assert len(digests) == 1


def test_the_given_model_is_not_changed(digits, samples):
    before = ir.to_proto(digits).SerializeToString(deterministic=True)
    quantize_model(digits, samples, recipe="static_wi8_ai8_equalized", measure=False)
    assert ir.to_proto(digits).SerializeToString(deterministic=True) == before


def test_errors_are_in_graph_order_and_plausible(digits, samples):
    result = quantize_model(digits, samples)
    assert [error.layer for error in result.errors][:2] == ["stem", "depthwise"]
    assert all(20 < error.sqnr_isolated_db < 80 for error in result.errors)
    output = result.errors[-1]
    assert result.output_sqnr_db == {output.tensor: output.sqnr_cumulative_db}
    assert result.suggestion.keep_float == ()


def test_suggestion_names_the_layer_that_breaks_accuracy(digits, samples):
    # A range far too narrow for one layer's output.
    overrides = {"layer": [{"match": "residual1", "calibrator": "percentile:60"}]}
    result = quantize_model(digits, samples, overrides=overrides, target_db=30.0)
    before = min(result.output_sqnr_db.values())
    assert before < 20.0
    assert "residual1" in result.suggestion.keep_float
    kept = quantize_model(
        digits, samples, overrides=overrides, keep_float=result.suggestion.keep_float
    )
    assert min(kept.output_sqnr_db.values()) == pytest.approx(result.suggestion.sqnr_after_db)
    assert result.suggestion.sqnr_after_db > before + 10


@pytest.mark.parametrize("pattern", ["stem", "Gemm", "residual*"])
def test_layers_kept_in_float(digits, samples, pattern):
    result = quantize_model(digits, samples, keep_float=[pattern], measure=False)
    assert "kept in float by request" in result.float_nodes.values()
    assert accuracy(result.model) >= accuracy(digits) - 0.01


def test_progress_names_its_stages(digits, samples):
    stages = []
    quantize_model(
        digits,
        samples,
        recipe="static_wi8_ai8_equalized",
        max_samples=4,
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )
    assert list(dict.fromkeys(stage for stage, _, _ in stages)) == [
        "calibrate",
        "correct biases",
        "measure layers",
    ]
    assert ("calibrate", 4, 4) in stages


def test_overrides_from_a_file(digits, samples, tmp_path):
    path = tmp_path / "overrides.toml"
    path.write_text(
        '[[layer]]\nmatch = "Gemm"\nkeep_float = true\n\n'
        '[[layer]]\nmatch = "stem"\ngranularity = "per_tensor"\nsymmetric = true\n'
    )
    result = quantize_model(digits, samples, overrides=path, measure=False)
    (classifier,) = (node for node in result.model.graph if node.op_type == "Gemm")
    assert classifier.inputs[1].producer() is None
    scale = result.model.graph.initializers["stem_weight_scale"]
    assert tuple(scale.shape) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[layer]]\nmatch = 'a'\nbits = 4", "unknown key 'bits'"),
        (
            "[[layer]]\nmatch = 'a'\nweight_bits = 5",
            "weight_bits 5 is not .*allowed: 2",
        ),
        ("[[layer]]\nmatch = 'a'\nblock_size = 8", "block_size = 8; allowed: 0, 16, 32"),
        ("[[layer]]\nmatch = 'a'\nweight_range = 'max'", "allowed: minmax, mse"),
        ("[[layer]]\nmatch = 'a'\nsymmetric = 1", "symmetric = 1; allowed: a bool"),
        ("[[layer]]\nmatch = 'a'\ngranularity = 'row'", "allowed: per_tensor, per_channel"),
        ("[[layer]]\nmatch = 'a'\ncalibrator = 'max'", "unknown calibrator 'max'"),
        ("[[layer]]\nkeep_float = true", "match is missing"),
        ("layer = 3", "list of tables"),
        ("layers = []", "unknown key 'layers'"),
        ("not toml", "cannot be read"),
    ],
)
def test_mistakes_in_overrides(tmp_path, text, message):
    path = tmp_path / "overrides.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_overrides(path)


def test_mistakes_in_options(digits, samples):
    with pytest.raises(RecipeError, match="unknown recipe 'int8'; known recipes: static"):
        quantize_model(digits, samples, recipe="int8")
    with pytest.raises(RecipeError, match="unknown calibrator"):
        quantize_model(digits, samples, calibrator="max")
    with pytest.raises(RecipeError, match="activation_dtype 'int4'; allowed: uint8, int8"):
        quantize_model(digits, samples, activation_dtype="int4")
    with pytest.raises(
        RecipeError, match="no layer is called or matches 'depthwize'; near: dep"
    ):
        quantize_model(digits, samples, keep_float=["depthwize"])
    with pytest.raises(RecipeError, match="unknown recipe option 'speed'"):
        get_recipe("static_wi8_ai8", speed=9)
    with pytest.raises(DataError, match="max_samples is 0"):
        quantize_model(digits, samples, max_samples=0)
    with pytest.raises(DataError, match="no samples"):
        quantize_model(digits, [])


def test_a_quantized_model_is_not_quantized_again(digits, samples):
    result = quantize_model(digits, samples, measure=False)
    with pytest.raises(ModelError, match="quantized already"):
        quantize_model(result.model, samples)


def test_samples_that_never_vary(digits):
    constant = open_samples({"image": np.zeros((3, 1, 8, 8), np.float32)}, digits)
    with pytest.raises(DataError, match="zero width"):
        quantize_model(digits, constant)


CHOICES = st.lists(
    st.sampled_from(
        [
            "Relu({0})",
            "HardSwish({0})",
            "Sigmoid({0})",
            "Mul({0}, {1})",
            "Add({0}, {1})",
            "Sub({1}, {0})",
            "Conv<pads=[1,1,1,1]>({0}, w)",
            "Conv({0}, v)",
            "MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>({0})",
            "AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>({0})",
            "Transpose<perm=[0,1,3,2]>({0})",
            "Softmax({0})",
            "Identity({1})",
        ]
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(CHOICES, st.sampled_from(["uint8", "int8"]), st.sampled_from(RECIPES))
def test_any_network_stays_valid_and_close(choices, dtype, recipe):
    names = ["x", "x"]
    nodes = []
    for index, choice in enumerate(choices):
        names.append(f"t{index}")
        nodes.append(f"[n{index}] t{index} = {choice.format(names[-2], names[-3])}")
    text = (
        '<ir_version: 10, opset_import: ["": 21]> g (float[1,3,4,4] x) => (float[1,3,4,4] y)'
        f" {{ {' '.join(nodes)} [last] y = Identity({names[-1]}) }}"
    )
    proto = onnx.parser.parse_model(text)
    rng = np.random.default_rng(3)
    for name, shape in (("w", (3, 3, 3, 3)), ("v", (3, 3, 1, 1))):
        array = (rng.normal(size=shape) / 3).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    samples = [{"x": rng.normal(size=(1, 3, 4, 4)).astype(np.float32)} for _ in range(4)]
    result = quantize_model(model, samples, recipe=recipe, activation_dtype=dtype)
    onnx.checker.check_model(ir.to_proto(result.model), full_check=True)
    # Eight layers at 25 dB or better each. A difference of near-equal tensors is all noise.
    if not any(choice.startswith("Sub") for choice in choices):
        assert result.output_sqnr_db["y"] > 10.0
