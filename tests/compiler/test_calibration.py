"""Ranges, errors and corrections that come from running samples."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from octavo.compiler.calibration.calibrate import calibrate
from octavo.compiler.calibration.isolate_layers import isolate_layers
from octavo.compiler.calibration.layer_errors import Layer, LayerError, measure_layers
from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.calibration.signal_to_noise import MAX_DB, SignalToNoise
from octavo.compiler.calibration.suggest import suggest_keep_float
from octavo.errors import DataError, RecipeError
from octavo.passes.insert_quantizers import InsertQuantizers
from octavo.passes.placement import plan_placement
from octavo.passes.quantizer_options import LayerOverride, QuantizerOptions

DEFAULT = QuantizerOptions()
GRAPH = """<ir_version: 10, opset_import: ["": 21]>
g (float[1,2,4,4] x) => (float[1,2,4,4] y) {
    [a] p = Conv(x, w) [relu] q = Relu(p) [b] r = Conv(q, w) [act] y = HardSwish(r)
}"""


@pytest.fixture
def model() -> ir.Model:
    proto = onnx.parser.parse_model(GRAPH)
    weight = np.random.default_rng(1).normal(size=(2, 2, 1, 1)).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


@pytest.fixture
def samples() -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(2)
    return [{"x": rng.normal(size=(1, 2, 4, 4)).astype(np.float32)} for _ in range(6)]


def ranges_of(
    model, samples, *, options=DEFAULT, calibrator="minmax", num_samples=6, **kwargs
):
    return calibrate(
        model,
        plan_placement(model.graph, options),
        samples,
        calibrator=calibrator,
        options=options,
        num_samples=num_samples,
        **kwargs,
    )


def test_min_max_is_the_hull_of_all_samples(model, samples):
    ranges = ranges_of(model, samples)
    assert list(ranges) == ["x", "q", "r", "y"]
    values = np.stack([sample["x"] for sample in samples])
    assert ranges["x"] == (values.min(), values.max())
    assert ranges["q"][0] == 0.0


def test_sample_limit_and_progress(model, samples):
    seen = []
    limited = ranges_of(
        model, samples, num_samples=2, progress=lambda *event: seen.append(event)
    )
    assert seen == [("calibrate", 1, 2), ("calibrate", 2, 2)]
    assert limited["x"] == ranges_of(model, samples[:2])["x"]


def test_groups_of_tensors_give_the_same_ranges(model, samples, monkeypatch):
    together = ranges_of(model, samples)
    monkeypatch.setattr("octavo.compiler.calibration.reference_run.MAX_EXPOSED_BYTES", 1)
    assert ranges_of(model, samples) == together


def test_a_layer_may_have_a_calibrator_of_its_own(model, samples):
    options = QuantizerOptions(
        overrides=(LayerOverride(match="b", calibrator="percentile:80"),)
    )
    plain, changed = ranges_of(model, samples), ranges_of(model, samples, options=options)
    assert {name for name in plain if plain[name] != changed[name]} == {"r"}


def test_no_samples(model):
    with pytest.raises(DataError, match="no samples"):
        ranges_of(model, [])


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_input_that_never_varies(model, value):
    constant = [{"x": np.full((1, 2, 4, 4), value, np.float32)}] * 3
    with pytest.raises(DataError, match=f"'x' has a range of zero width: it is {value:g}"):
        ranges_of(model, constant)


def test_unknown_calibrator(model, samples):
    with pytest.raises(RecipeError, match="unknown calibrator 'max'"):
        ranges_of(model, samples, calibrator="max")


def test_signal_to_noise_in_decibels():
    ratio = SignalToNoise()
    ratio.add(np.float32([10.0, 0.0]), np.float32([9.0, 0.0]))
    assert ratio.decibels() == pytest.approx(20.0)
    assert SignalToNoise().decibels() == MAX_DB
    silent = SignalToNoise()
    silent.add(np.float32([0.0]), np.float32([1.0]))
    assert silent.decibels() == -MAX_DB


def quantized(model, ranges):
    result = model.clone()
    InsertQuantizers(ranges, DEFAULT)(result)
    return result


# Hard-swish is 0 below -3, so the range of what it reads ends there.
LAYERS = [
    Layer("a", "Conv+Relu", "q"),
    Layer("b", "Conv", "r", low=-3.0),
    Layer("act", "HardSwish", "y"),
]


def test_isolated_layer_sees_float_inputs(model, samples):
    ranges = ranges_of(model, samples)
    isolated = isolate_layers(quantized(model, ranges), ["q", "r", "y"])
    onnx.checker.check_model(ir.to_proto(isolated.model), full_check=True)
    assert set(isolated.feeds.values()) == {"x", "q", "r"}
    exact = ReferenceRun(model, [v for n in model.graph for v in n.outputs]).run(samples[0])
    feeds = {new: {**exact, **samples[0]}[old] for new, old in isolated.feeds.items()}
    run = ReferenceRun(isolated.model, list(isolated.outputs.values()))
    base = run.run(feeds)
    # Another input of the first layer changes the first layer alone.
    changed = run.run({**feeds, "x": feeds["x"] * 0.5})
    names = {name: value.name for name, value in isolated.outputs.items()}
    assert (base[names["q"]] != changed[names["q"]]).any()
    assert (base[names["r"]] == changed[names["r"]]).all()
    assert (base[names["y"]] == changed[names["y"]]).all()


def test_errors_name_the_layer_that_is_broken(model, samples):
    ranges = ranges_of(model, samples)
    good = measure_layers(model, quantized(model, ranges), LAYERS, samples)
    assert [error.layer for error in good] == ["a", "b", "act"]
    assert all(error.sqnr_isolated_db > 30 for error in good)
    # The first layer has no layer in front of it.
    assert good[0].sqnr_isolated_db == good[0].sqnr_cumulative_db
    broken = {**ranges, "r": (-400.0, 400.0)}
    bad = measure_layers(model, quantized(model, broken), LAYERS, samples)
    worst = min(bad, key=lambda error: error.sqnr_isolated_db)
    assert worst.layer == "b"
    assert bad[0] == good[0]
    assert bad[2].sqnr_cumulative_db < good[2].sqnr_cumulative_db - 10


def error(layer, isolated):
    return LayerError(layer, "Conv", layer, isolated, 0.0)


def test_suggestion_is_what_measures_best_at_the_output():
    gains = {"a": 1.0, "b": 12.0, "c": 6.0, "d": 0.0}
    errors = [error("a", 5.0), error("b", 20.0), error("c", 15.0), error("d", 30.0)]
    measured = []

    def measure(names):
        measured.append(tuple(names))
        return 5.0 + sum(gains[name] for name in names)

    result = suggest_keep_float(errors, 5.0, measure, target_db=20.0)
    assert result.keep_float == ("b", "c")
    assert (result.sqnr_before_db, result.sqnr_after_db) == (5.0, 23.0)
    assert ("b", "c") in measured


def test_a_broken_tensor_needs_its_readers_in_float_too():
    def measure(names):
        return 30.0 if {"a", "b"} <= set(names) else 5.0

    result = suggest_keep_float(
        [error("a", 0.0)], 5.0, measure, target_db=20.0, readers={"a": ("b",)}
    )
    assert result.keep_float == ("a", "b")
    assert result.sqnr_after_db == 30.0


def test_nothing_is_suggested_when_nothing_helps_or_nothing_is_needed():
    errors = [error("a", 5.0)]
    assert suggest_keep_float(errors, 5.0, lambda _: 5.5, target_db=20.0).keep_float == ()
    assert suggest_keep_float(errors, 25.0, lambda _: 99.0, target_db=20.0).keep_float == ()
