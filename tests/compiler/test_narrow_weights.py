"""What is said about weights of few bits that are not packed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from octavo.compiler.importer import import_model
from octavo.compiler.lowering.program import Buffer, Factors, Operand, Step, Storage
from octavo.compiler.narrow_weights import narrow_weight_notes
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import get_recipe
from octavo.compiler.samples import open_samples

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"


@pytest.fixture(scope="module")
def make_model():
    digits = import_model(DIGITS / "digits.onnx")
    samples = list(open_samples(DIGITS / "calibration.npz", digits))[:8]

    def make(num_bits):
        recipe = get_recipe("static_wi8_ai8", weight_bits=num_bits)
        return quantize_model(digits, samples, recipe=recipe, measure=False).model

    return make


def steps_of(model, placement):
    nodes = tuple(node.name for node in model.graph)
    return [Step("all", "k", (), (), nodes, placement, "")]


def packed_bytes(model):
    sizes = [
        value.const_value.size
        for name, value in model.graph.initializers.items()
        if name.endswith("weight_quantized")
    ]
    return len(sizes), sum(-(-size // 8) * 4 for size in sizes)


@pytest.mark.parametrize("num_bits", [2, 4, 8])
def test_nothing_is_said_where_narrow_weights_are_packed(make_model, num_bits):
    model = make_model(num_bits)
    assert narrow_weight_notes(model.graph, steps_of(model, "int8")) == ()


def test_nothing_is_said_of_float_layers_whose_weights_are_packed(make_model):
    model = make_model(4)
    (step,) = steps_of(model, "float32")
    data = np.zeros(4, np.float32)
    factors = Factors(data.astype(np.int8), data)
    weight = Buffer("w", 16, Storage.WEIGHTS, data, factors=factors)
    packed = replace(step, operands=(Operand(weight),))
    assert narrow_weight_notes(model.graph, [packed]) == ()
    assert narrow_weight_notes(model.graph, [packed], packed=False) != ()


@pytest.mark.parametrize(
    ("placement", "packed", "said"),
    [
        ("float32", True, "are float32 in the artifact: their kernels transform them"),
        ("int8", False, "take 8 bits each, or 32 where layers compute in float"),
    ],
)
def test_weights_that_could_be_smaller_are_counted(make_model, placement, packed, said):
    model = make_model(4)
    (note,) = narrow_weight_notes(model.graph, steps_of(model, placement), packed=packed)
    number, num_bytes = packed_bytes(model)
    assert f"{number} weights of at most 4 bits" in note
    assert f"{num_bytes:,} bytes" in note
    assert said in note
    wide = make_model(8)
    assert narrow_weight_notes(wide.graph, steps_of(wide, placement), packed=packed) == ()
