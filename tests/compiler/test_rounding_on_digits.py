"""What rounding by the output of layers wins back on a trained network."""

from pathlib import Path

import numpy as np
import pytest

from octavo.compiler.calibration.layer_errors import measure_outputs
from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.importer import import_model
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import get_recipe

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"


@pytest.fixture(scope="module")
def digits():
    return import_model(DIGITS / "digits.onnx")


@pytest.fixture(scope="module")
def images():
    return [{"image": x[None]} for x in np.load(DIGITS / "calibration.npz")["image"]]


def _accuracy(model):
    run = ReferenceRun(model, list(model.graph.outputs))
    with np.load(DIGITS / "test.npz") as test:
        pairs = zip(test["image"], test["label"], strict=True)
        answers = [
            next(iter(run.run({"image": x[None]}).values())).argmax() == label
            for x, label in pairs
        ]
    return np.mean(answers)


def test_three_bits_recover(digits, images):
    recipe = get_recipe(
        "static_wi8_ai8", weight_bits=3, granularity="per_tensor", weight_range="minmax"
    )
    found = {
        rounding: quantize_model(
            digits, images, recipe=recipe, rounding=rounding, measure=False
        )
        for rounding in ("nearest", "second_order")
    }
    assert _accuracy(found["nearest"].model) < 0.90
    assert _accuracy(found["second_order"].model) >= 0.97
    for layer in found["second_order"].rounding.layers:
        assert layer.error_after <= layer.error_before


def test_few_samples_are_enough_for_the_second_order(digits, images):
    recipe = get_recipe("weight_only_wi8", weight_bits=4)
    decibels = {}
    for rounding in ("nearest", "adaquant", "second_order"):
        result = quantize_model(
            digits, images[:32], recipe=recipe, rounding=rounding, measure=False
        )
        unseen = images[64:]
        (decibels[rounding],) = measure_outputs(result.prepared, result.model, unseen).values()
    assert decibels["second_order"] > decibels["adaquant"] > decibels["nearest"] + 5
