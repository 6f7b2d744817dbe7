"""Configurations of one network: the models that the quantizer makes."""

import numpy as np
import onnx_ir as ir
import pytest
from tests.compiler.mixed_precision.conftest import MODEL, NUM_SAMPLES, SAMPLES

from octavo.compiler.importer import import_model
from octavo.compiler.mixed_precision.accuracy import AccuracyMeter
from octavo.compiler.mixed_precision.network import MixedNetwork
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import get_recipe, keep_float_overrides
from octavo.compiler.samples import open_samples
from octavo.errors import ModelError, RecipeError
from octavo.passes.layer_format import EIGHT_BITS, FLOAT, LayerFormat


def _network(**options: object) -> MixedNetwork:
    model = import_model(MODEL)
    samples = list(open_samples(SAMPLES, model))[:NUM_SAMPLES]
    recipe = get_recipe("static_wi8_ai8", **options)
    return MixedNetwork(model, samples, recipe=recipe, activation_dtype="uint8")


def _bytes(model: ir.Model) -> bytes:
    return ir.to_proto(model).SerializeToString(deterministic=True)


@pytest.mark.parametrize("formats", ["w8a8", "w4a8", "w8a4", "mixed"])
def test_a_configuration_is_the_model_that_the_quantizer_makes(formats: str) -> None:
    network = _network()
    layers = network.layers
    chosen = (
        {name: (EIGHT_BITS, LayerFormat(4, 8), FLOAT)[i % 3] for i, name in enumerate(layers)}
        if formats == "mixed"
        else dict.fromkeys(layers, LayerFormat.parse(formats))
    )
    model = import_model(MODEL)
    samples = list(open_samples(SAMPLES, model))[:NUM_SAMPLES]
    expected = quantize_model(model, samples, configuration=chosen, measure=False)
    assert _bytes(network.quantized(chosen)) == _bytes(expected.model)


def test_earlier_configurations_leave_no_trace() -> None:
    network, fresh = _network(rounding="second_order"), _network(rounding="second_order")
    mixed = {name: LayerFormat(2 + 2 * (i % 2), 8) for i, name in enumerate(network.layers)}
    for before in (FLOAT, LayerFormat(2, 4), EIGHT_BITS):
        network.quantized(dict.fromkeys(network.layers, before))
    assert _bytes(network.quantized(mixed)) == _bytes(fresh.quantized(mixed))


def test_rounding_loses_less_than_nearest_and_leaves_eight_bits_alone() -> None:
    samples = list(open_samples(SAMPLES, import_model(MODEL)))[NUM_SAMPLES : 2 * NUM_SAMPLES]
    noise = {}
    for rounding in ("nearest", "second_order"):
        network = _network(rounding=rounding)
        meter = AccuracyMeter(network, samples)
        for bits in (8, 3):
            formats = dict.fromkeys(network.layers, LayerFormat(bits, 8))
            noise[rounding, bits] = meter.measure(formats)["noise"]
    assert noise["second_order", 8] == noise["nearest", 8]
    assert noise["second_order", 3] < noise["nearest", 3] - 1  # decibels


def test_accuracy_is_what_the_float_network_has_more() -> None:
    network = _network()
    model = import_model(MODEL)
    samples = list(open_samples(SAMPLES, model))[:NUM_SAMPLES]
    labels = np.load(SAMPLES)["label"][:NUM_SAMPLES].astype(np.int64)
    meter = AccuracyMeter(network, samples, labels)
    in_float = meter.measure(dict.fromkeys(network.layers, FLOAT))
    narrow = meter.measure(dict.fromkeys(network.layers, LayerFormat(2, 2)))
    assert in_float["drop"] == 0
    assert narrow["drop"] > 10
    assert in_float["noise"] < narrow["noise"]


def test_multiply_accumulates_are_those_of_the_operators() -> None:
    network = _network()
    assert network.macs("stem") == network.weight("stem").size * 64  # 8x8 pixels
    assert network.macs("fc") == network.weight("fc").size


def test_a_layer_that_is_kept_in_float_takes_no_format() -> None:
    model = import_model(MODEL)
    samples = list(open_samples(SAMPLES, model))[:4]
    network = MixedNetwork(
        model, samples, recipe=get_recipe("static_wi8_ai8"), activation_dtype="uint8",
        overrides=keep_float_overrides(["fc"]))  # fmt: skip
    assert "fc" not in network.layers
    assert len(network.layers) == len(_network().layers) - 1


def test_what_cannot_be_searched_is_refused() -> None:
    model = import_model(MODEL)
    samples = list(open_samples(SAMPLES, model))[:4]
    quantized = quantize_model(model, samples, measure=False).model
    recipe = get_recipe("static_wi8_ai8")
    with pytest.raises(ModelError, match="quantized already"):
        MixedNetwork(quantized, samples, recipe=recipe, activation_dtype="uint8")
    with pytest.raises(RecipeError, match="leaves activations in float"):
        MixedNetwork(
            model, samples, recipe=get_recipe("weight_only_wi8"), activation_dtype="uint8")
    with pytest.raises(RecipeError, match="allowed for configurations: nearest, "):
        MixedNetwork(
            model, samples, recipe=get_recipe("static_wi8_ai8", rounding="adaquant"),
            activation_dtype="uint8")  # fmt: skip
