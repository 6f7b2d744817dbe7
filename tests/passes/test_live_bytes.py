"""The most that is alive at one time, counted by hand."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from octavo.compiler.importer import import_model
from octavo.passes.choose_parameters import choose_parameters
from octavo.passes.live_bytes import largest_live_bytes
from octavo.passes.placement import plan_placement
from octavo.passes.prepare import prepare
from octavo.passes.quantizer_options import LayerOverride, QuantizerOptions

GRAPHS = Path(__file__).parents[2] / "examples" / "graphs"
NODES, EDGES = 300, 3300  # of gcn.onnx; 16 channels, then 16, then 4


def live(model: ir.Model, *overrides: LayerOverride) -> int:
    options = QuantizerOptions(overrides=overrides)
    placement = plan_placement(model.graph, options)
    ranges = {value.name or "": (-1.0, 1.0) for value in placement.tensors}
    parameters = choose_parameters(placement, ranges, options)
    bits = {value: params.num_bits for value, params in parameters.of.items()}
    return largest_live_bytes(model.graph, placement.regions, bits)


def test_a_float_chain_holds_what_a_step_reads_and_makes(build) -> None:
    model = build(
        "g (float[1,8] x) => (float[1,2] y) { a = Relu(x) b = Reshape(a, s) c = Exp(b) d ="
        " Concat<axis=1>(c, b) e = Gemm(d, w) y = Exp(e) }",
        s=np.array([1, 8]),
        w=np.ones((16, 2), np.float32),
    )
    # c and a, which b is another shape of, and the 16 numbers of d: 4 bytes each. x and y are
    # the caller's.
    assert largest_live_bytes(model.graph, (), {}) == 4 * (8 + 8 + 16)


def test_messages_in_fewer_bits_are_fewer_bytes() -> None:
    model = prepare(import_model(GRAPHS / "gcn.onnx"))
    # Edges' weights, what the first layer made, and what its nodes have received.
    assert live(model) == EDGES + NODES * (16 + 16)
    narrow = LayerOverride(match="ScatterElements", activation_bits=4)
    # Now x and what the first layer makes of it are more.
    assert live(model, narrow) == max(EDGES + NODES * (8 + 16), NODES * (16 + 8))
    weights = LayerOverride(match="ScatterElements", weight_bits=4, activation_bits=4)
    assert live(model, weights) == EDGES // 2 + NODES * (8 + 16)


@pytest.mark.parametrize("name", ["gin", "chebyshev"])
def test_own_features_that_are_added_do_not_widen_messages(name) -> None:
    model = prepare(import_model(GRAPHS / f"{name}.onnx"))
    narrow = LayerOverride(match="ScatterElements", activation_bits=4)
    linear = LayerOverride(match="Gemm", activation_bits=4)
    options = QuantizerOptions(overrides=(narrow, linear))
    placement = plan_placement(model.graph, options)
    ranges = {value.name or "": (-1.0, 1.0) for value in placement.tensors}
    parameters = choose_parameters(placement, ranges, options)
    gathered = [r.form.features[0] for r in placement.regions if r.form is not None]
    assert {parameters.of[value].num_bits for value in gathered} == {4}


def test_what_a_kernel_counts_itself_is_nowhere() -> None:
    model = prepare(import_model(GRAPHS / "sage_mean.onnx"))
    # x, the mean of its rows, and what the layer of the mean makes; no degrees in float.
    assert live(model) == NODES * (16 + 16 + 16)
