"""A configuration is the same whatever was asked before, and on any number of threads."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
from threadpoolctl import threadpool_limits

from octavo.compiler.importer import import_model
from octavo.compiler.mixed_precision.network import Formats, MixedNetwork
from octavo.compiler.recipes import get_recipe
from octavo.passes.layer_format import LayerFormat

RESNET = Path(__file__).parents[3] / "examples" / "resnet_digits"
EIGHT, FOUR = map(LayerFormat.parse, ("w8a8", "w4a8"))


def _network() -> MixedNetwork:
    images = np.load(RESNET / "calibration.npz")["image"][:24]
    return MixedNetwork(
        import_model(RESNET / "resnet_digits.onnx"),
        [{"image": image[None]} for image in images],
        recipe=get_recipe("static_wi8_ai8", rounding="second_order"),
        activation_dtype="uint8",
    )


def _constants(model: ir.Model) -> dict[str, bytes]:
    return {
        name: value.const_value.numpy().tobytes()
        for name, value in model.graph.initializers.items()
        if value.const_value is not None
    }


def test_what_was_asked_before_changes_no_weight() -> None:
    first, second = _network(), _network()
    odd: Formats = {n: (EIGHT, FOUR)[i % 2] for i, n in enumerate(first.layers)}
    even: Formats = {n: (FOUR, EIGHT)[i % 2] for i, n in enumerate(first.layers)}
    with threadpool_limits(1):
        forwards = [_constants(first.quantized(formats)) for formats in (odd, even)]
    with threadpool_limits(2):
        backwards = [_constants(second.quantized(formats)) for formats in (even, odd)]
    assert forwards[0] != forwards[1]
    assert forwards == backwards[::-1]
