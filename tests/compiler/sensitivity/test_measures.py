import numpy as np
import onnx_ir as ir
import pytest

from octavo.compiler.sensitivity.calibrated_loss import MIN_LOSS, CalibratedLoss, nearest
from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.measures import MEASURE_NAMES, check_measure, make_measure
from octavo.compiler.sensitivity.relevance import Relevance
from octavo.compiler.sensitivity.variants import Variants
from octavo.errors import RecipeError
from octavo.passes.layer_format import FLOAT, LayerFormat

W8A8, W4A8, W2A8 = (LayerFormat.parse(text) for text in ("w8a8", "w4a8", "w2a8"))
# Kurtosis knows no format; coupled errors may cancel each other.
MONOTONE = [n for n in MEASURE_NAMES if n not in ("kurtosis", "pairwise_coupling")]


@pytest.mark.parametrize("name", MONOTONE)
def test_fewer_bits_cost_more(trials, name):
    measure = make_measure(name, trials)
    for layer in trials.layers:
        mild, deep = (measure.score(layer, f) for f in (W8A8, W2A8))
        assert deep.loss > mild.loss, layer
        assert deep.bytes < mild.bytes


@pytest.mark.parametrize(
    "name",
    ["quantization_error", "propagated_error", "divergence", "hessian_trace", "relevance"],
)
def test_float_costs_nothing(trials, name):
    assert make_measure(name, trials).score("second", FLOAT).loss == 0.0


def test_an_unknown_measure_is_refused(trials):
    check_measure("all")
    with pytest.raises(RecipeError, match=r"'guess'; allowed: quantization_error, .*, all"):
        check_measure("guess")
    with pytest.raises(RecipeError, match="'all'; allowed: quantization_error"):
        make_measure("all", trials)


def test_quantization_error_is_the_relative_error_of_the_operands(trials):
    """The weight of one scale per output, rounded by hand."""
    weight = trials.variants.weight("third").astype(np.float64)
    scale = np.abs(weight).max(axis=1, keepdims=True) / 127
    error = np.square(np.rint(weight / scale) * scale - weight).sum() / np.square(weight).sum()
    only_weight = LayerFormat(8, 16)
    found = make_measure("quantization_error", trials).score("third", only_weight).loss
    assert found == pytest.approx(error, rel=1e-3)


def test_divergence_is_that_of_the_probabilities(trials):
    found = make_measure("divergence", trials).score("second", W4A8).loss
    total = 0.0
    for before, after in zip(trials.exact(), trials.outputs({"second": W4A8}), strict=True):
        p, q = (np.exp(y["y"].astype(np.float64)).reshape(-1) for y in (before, after))
        p, q = p / p.sum(), q / q.sum()
        total += float((p * np.log(p / q)).sum())
    assert found == pytest.approx(total / len(trials.samples), rel=1e-6)


def test_only_the_named_layer_is_quantized(trials):
    model = trials.variants.quantized({"second": W4A8})
    rounded = [node for node in model.graph if node.op_type == "QuantizeLinear"]
    heads = {n.name: n.inputs[1].producer() for n in model.graph if n.name in trials.layers}
    assert [name for name, maker in heads.items() if maker is not None] == ["second"]
    assert len(rounded) == 2  # what it reads and what it makes


def test_calibrated_loss_counts_what_a_layer_adds_to_eight_bits(trials):
    measure = CalibratedLoss(trials, nearest)
    uniform = trials.loss({}, base=W8A8)
    changed = trials.loss({"first": W2A8}, base=W8A8)
    assert measure.score("first", W2A8).loss == pytest.approx(changed - uniform)
    assert measure.score("first", W8A8).loss == MIN_LOSS


def test_rounding_by_outputs_lowers_the_calibrated_loss(trials):
    plain, rounded = (
        sum(measure.score(layer, W2A8).loss for layer in trials.layers)
        for measure in (CalibratedLoss(trials, nearest), CalibratedLoss(trials))
    )
    assert rounded < plain


def test_latencies_are_passed_on(trials, samples):
    timed = type(trials)(trials.variants, samples, latency=lambda layer, f: f.weight_bits / 8)
    assert make_measure("propagated_error", timed).score("first", W4A8).ms == 0.5
    assert make_measure("propagated_error", trials).score("first", W4A8).ms is None


def test_bytes_are_packed_integers_and_scales(trials):
    # 6 x 2 x 3 x 3 weights, 6 scales
    assert trials.weight_bytes("first", W4A8) == 56 + 24
    assert trials.weight_bytes("first", FLOAT) == 432


def test_shares_of_relevance_add_up_and_ignore_a_softmax_behind(trials, network, samples):
    """The class with the largest logit is the one with the largest probability."""
    shares = Relevance(trials).shares()
    assert sum(shares.values()) == pytest.approx(1.0)
    assert min(shares.values()) > 0.0
    model = network.clone()
    softmax = ir.node("Softmax", list(model.graph.outputs), name="end")
    softmax.outputs[0].name = "p"
    softmax.outputs[0].type = model.graph.outputs[0].type
    softmax.outputs[0].shape = model.graph.outputs[0].shape
    model.graph.append(softmax)
    model.graph.outputs[:] = softmax.outputs
    ended = Relevance(FormatTrials(Variants(model, samples), samples)).shares()
    assert ended == pytest.approx(shares)


def test_relevance_weighs_the_error_of_the_operands(trials):
    measure = Relevance(trials)
    own = make_measure("quantization_error", trials)
    for layer in trials.layers:
        expected = measure.shares()[layer] * own.score(layer, W4A8).loss
        assert measure.score(layer, W4A8).loss == pytest.approx(expected)
