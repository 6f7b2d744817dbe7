"""What is said about weights of few bits."""

from pathlib import Path

import pytest

from octavo.compiler.importer import import_model
from octavo.compiler.narrow_weights import narrow_weight_notes
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import get_recipe
from octavo.compiler.samples import open_samples

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"


@pytest.mark.parametrize(("num_bits", "is_said"), [(8, False), (4, True), (2, True)])
def test_weights_that_could_be_packed_are_counted(num_bits, is_said):
    digits = import_model(DIGITS / "digits.onnx")
    samples = list(open_samples(DIGITS / "calibration.npz", digits))[:8]
    recipe = get_recipe("static_wi8_ai8", weight_bits=num_bits)
    model = quantize_model(digits, samples, recipe=recipe, measure=False).model
    notes = narrow_weight_notes(model.graph)
    assert bool(notes) == is_said
    if is_said:
        weights = [
            value.const_value.size
            for name, value in model.graph.initializers.items()
            if name.endswith("weight_quantized")
        ]
        assert f"{len(weights)} weights have at most 4 bits" in notes[0]
        assert f"{sum(weights) // 2:,} bytes" in notes[0]
