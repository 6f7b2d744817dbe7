"""What the quantizer writes around message passing: one golden text for each family."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.importer import import_model
from octavo.passes.constants import constant_array
from octavo.passes.insert_quantizers import InsertQuantizers
from octavo.passes.message_parameters import factor_params
from octavo.passes.message_passing.forms import aggregation_forms
from octavo.passes.message_regions import EDGES_ALONE
from octavo.passes.placement import plan_placement
from octavo.passes.prepare import prepare
from octavo.passes.quant_math import quantize
from octavo.passes.quantizer_options import LayerOverride, QuantizerOptions

GRAPHS = Path(__file__).parents[2] / "examples" / "graphs"
EXPORTS = sorted((Path(__file__).parent / "message_passing" / "exports").glob("*.onnx"))

# Every tensor of the first layer that is rounded: type, zero point, what reads it.
GOLDEN = {
    "gcn": """
        edge_weight: int8 0 -> Reshape
        x: uint8 127 -> Gemm
        layer1.lin/Gemm_1: uint8 127 -> Gather
        layer1/Relu_1: uint8 127 -> Gemm
    """,
    "sage_mean": """
        x: uint8 127 -> Gather Gemm
        layer1/Div_1: uint8 127 -> Gemm
        layer1.lin_l/Gemm_1: uint8 127 -> Add
        layer1/Relu_1: uint8 127 -> Gather Gemm
    """,
    "sage_max": """
        x: uint8 127 -> Gather Gemm
        layer1/ScatterElements_2: uint8 127 -> Gemm
        layer1.lin_l/Gemm_1: uint8 127 -> Add
        layer1/Relu_1: uint8 127 -> Gather Gemm
    """,
    "gin": """
        x: uint8 127 -> Gather Mul
        layer1/ScatterElements_1: uint8 127 -> Add
        layer1/Mul_1: uint8 127 -> Add
        layer1/Add_1: uint8 127 -> Gemm
        layer1/Relu_1: uint8 127 -> Gemm
        layer1/Relu_2: uint8 127 -> Gather Mul
    """,
    "gat": """
        x: uint8 127 -> Gemm
        layer1.lin/Gemm_1: uint8 127 -> MatMul Reshape
        layer1/Reshape_1: uint8 127 -> Gather
        layer1/Div_1: uint8 0 -> Unsqueeze
        layer1/Relu_1: uint8 127 -> Gemm
    """,
    "gatv2": """
        x: uint8 127 -> Gemm
        layer1.lin_l/Gemm_1: uint8 127 -> Reshape
        layer1/Reshape_1: uint8 127 -> Gather
        layer1.lin_r/Gemm_1: uint8 127 -> Reshape
        layer1/Reshape_2: uint8 127 -> Gather
        layer1/Gather_1: uint8 127 -> Add
        layer1/Gather_2: uint8 127 -> Add
        layer1/Add_1: uint8 127 -> LeakyRelu
        layer1/LeakyRelu_1: uint8 127 -> Reshape
        layer1/LeakyRelu_1_flat: uint8 127 -> MatMul
        layer1/Div_1: uint8 0 -> Unsqueeze
        layer1/Relu_1: uint8 127 -> Gemm
    """,
    "sir_gcn": """
        x: uint8 127 -> Gemm
        layer1.q/Gemm_1: uint8 127 -> Gather
        layer1.k/Gemm_1: uint8 127 -> Gather
        layer1/ScatterElements_1: uint8 127 -> Gemm
        layer1/Relu_2: uint8 127 -> Gemm
    """,
    "chebyshev": """
        edge_weight: int8 0 -> Reshape
        x: uint8 127 -> Gather Gemm Sub
        layer1.lins.0/Gemm_1: uint8 127 -> Add
        layer1/ScatterElements_1: uint8 127 -> Gather Gemm
        layer1/Add_1: uint8 127 -> Add
        layer1/ScatterElements_2: uint8 128 -> Mul
        layer1/Mul_3: uint8 127 -> Sub
        layer1/Sub_1: uint8 127 -> Gemm
        layer1/Add_2: uint8 127 -> Add
        layer1/Relu_1: uint8 127 -> Gather Gemm Sub
    """,
    "forecast_gru": """
        x: uint8 127 -> GRU Gather
        gru/GRU_1_1: uint8 127 -> Squeeze
        gru/Squeeze_1: uint8 127 -> Add
        embed/Add_1: uint8 127 -> Gemm
        neighbours/Gemm_1: uint8 127 -> MatMul
        neighbours/MatMul_1: uint8 127 -> Add
        mix/Relu_1: uint8 127 -> Gemm
        last/Gather_1: uint8 127 -> Add
    """,
}


def quantized(name: str, options: QuantizerOptions | None = None, **ranges) -> ir.Model:
    return with_quantizers(import_model(GRAPHS / f"{name}.onnx"), options, **ranges)


def with_quantizers(
    model: ir.Model, options: QuantizerOptions | None = None, **ranges
) -> ir.Model:
    prepare(model)
    options = options or QuantizerOptions()
    plan = plan_placement(model.graph, options)
    limits = {value.name: (-1.0, 1.0) for value in plan.tensors}
    InsertQuantizers({**limits, **ranges}, options)(model)
    RemoveUnusedNodesPass()(model)
    return model


def rounded_tensors(model: ir.Model) -> list[str]:
    """Every tensor that is rounded, how, and what reads it, in graph order."""
    lines = []
    for node in model.graph:
        if node.op_type != "QuantizeLinear":
            continue
        zero_point = constant_array(node.inputs[2])
        back = next(iter(node.outputs[0].uses())).node
        readers = sorted({use.node.op_type for use in back.outputs[0].uses()})
        where = " ".join(readers) or "output"
        lines.append(f"{node.inputs[0].name}: {zero_point.dtype} {zero_point} -> {where}")
    return lines


@pytest.mark.parametrize("name", GOLDEN)
def test_only_features_factors_and_results_are_rounded(name):
    lines = [line.strip() for line in GOLDEN[name].strip().splitlines()]
    rounded = [
        x for x in rounded_tensors(quantized(name)) if not x.startswith(("layer2", "log"))
    ]
    assert rounded == lines


@pytest.mark.parametrize("name", ["gcn", "gat", "gatv2", "sir_gcn", "sheaf", "forecast_tcn"])
def test_every_operand_of_a_kernel_is_made_of_integers(name):
    forms = [f for f in aggregation_forms(quantized(name).graph) if not is_degree(f)]
    assert forms
    for form in forms:
        factors = () if form.coefficients is None else (form.coefficients,)
        made = {v.producer().op_type for v in (*form.features, *factors)}
        assert made == {"DequantizeLinear"}


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.stem)
def test_exports_are_quantized_alike(path):
    model = with_quantizers(import_model(path))
    found = [form for form in aggregation_forms(model.graph) if not is_degree(form)]
    assert bool(found) == (path.stem != "mul")  # no kernel multiplies messages
    for form in found:
        factors = () if form.coefficients is None else (form.coefficients,)
        made = {v.producer().op_type for v in (*form.features, *factors)}
        assert made == {"DequantizeLinear"}


def is_degree(form) -> bool:
    return constant_array(form.features[0]) is not None


def test_features_that_meet_share_a_scale():
    ranges = {"layer1.q/Gemm_1": (-4.0, 1.0), "layer1.k/Gemm_1": (-1.0, 2.0)}
    model = quantized("sir_gcn", **ranges)
    found = [params_of(model, name) for name in ranges]
    assert found[0] == found[1]
    assert found[0][0] == pytest.approx(6.0 / 255)


@pytest.mark.parametrize(
    ("low", "high", "scale"), [(0.0, 0.5, 0.5 / 255), (-0.25, 0.5, 1 / 255)]
)
def test_factors_have_no_zero_point(low, high, scale):
    model = quantized("gcn", edge_weight=(low, high))
    found = params_of(model, "edge_weight")
    assert found == (pytest.approx(scale, rel=0.01), 0)


@pytest.mark.parametrize(("num_bits", "scale"), [(8, 1 / 256), (4, 1 / 15), (2, 1 / 3)])
def test_attention_of_few_bits_represents_one(num_bits, scale):
    override = LayerOverride(match="ScatterElements", weight_bits=num_bits)
    model = quantized("gat", QuantizerOptions(overrides=(override,)))
    rounding = next(n for n in model.graph if "Div_1_quantize" in (n.name or ""))
    assert float(constant_array(rounding.inputs[1])) == pytest.approx(scale)


def test_an_adjacency_matrix_has_a_scale_for_each_node():
    model = quantized("forecast_tcn")
    product = next(n for n in model.graph if n.name == "neighbours/MatMul_1")
    back = product.inputs[0].producer()
    stored = import_model(GRAPHS / "forecast_tcn.onnx")
    exact = next(n for n in stored.graph if n.name == "neighbours/MatMul_1").inputs[0]
    matrix = constant_array(exact)
    integers, scale = constant_array(back.inputs[0]), constant_array(back.inputs[1])
    assert scale.shape == (20,)
    assert back.attributes["axis"].as_int() == 0
    np.testing.assert_allclose(scale, np.abs(matrix).max(axis=1) / 127, rtol=1e-6)
    assert np.abs(integers * scale[:, None] - matrix).max() <= scale.max() / 2 * 1.001


def test_degrees_stay_in_float():
    model = prepare(import_model(GRAPHS / "sheaf.onnx"))
    plan = plan_placement(model.graph, QuantizerOptions())
    edges_alone = {name for name, why in plan.float_nodes.items() if why == EDGES_ALONE}
    assert {"layer1/ScatterElements_1", "layer1/Pow_1", "layer1/Mul_8"} <= edges_alone


@pytest.mark.parametrize(
    "override",
    [
        LayerOverride(match="layer1/ScatterElements_1", keep_float=True),
        LayerOverride(match="layer1/ScatterElements_1", activation_bits=32),
        LayerOverride(match="layer1/ScatterElements_1", weight_bits=32),
    ],
)
def test_message_passing_in_float_takes_what_belongs_to_it_along(override):
    model = prepare(import_model(GRAPHS / "gcn.onnx"))
    plan = plan_placement(model.graph, QuantizerOptions(overrides=(override,)))
    expected = {"layer1/Gather_1", "layer1/Mul_1", "layer1/ScatterElements_1", "layer1/Relu_1"}
    assert expected <= plan.float_nodes.keys()


def test_messages_of_few_bits_are_limited_before_they_are_stored():
    override = LayerOverride(match="layer1/ScatterElements_1", activation_bits=3)
    model = quantized("gcn", QuantizerOptions(overrides=(override,)))
    rounding = next(n for n in model.graph if n.name == "layer1.lin/Gemm_1_quantize")
    assert rounding.inputs[0].producer().op_type == "Clip"


def params_of(model: ir.Model, name: str) -> tuple[float, int]:
    node = next(n for n in model.graph if n.name == f"{name}_quantize")
    return float(constant_array(node.inputs[1])), int(constant_array(node.inputs[2]))


@given(st.floats(-100, 0), st.floats(0.01, 100), st.sampled_from([3, 4, 8]))
@settings(max_examples=50, deadline=None)
def test_factors_are_rounded_to_half_a_step_without_a_zero_point(low, high, num_bits):
    region = next(r for r in GCN_REGIONS if r.form is not None)
    params = factor_params(region, low, high, num_bits)
    assert params.zero_point == 0
    assert params.dtype == ("int8" if low < 0 else "uint8")
    x = np.linspace(low, high, 101, dtype=np.float32)
    q = quantize(x, params.scale, 0, params.dtype, num_bits=num_bits)
    # The largest of a symmetric range is one step less than the smallest.
    step = params.scale * (0.5 if low == 0 or high <= params.high else 1.0)
    assert np.abs(q * params.scale - x).max() <= step * (1 + 1e-4)


GCN_REGIONS = plan_placement(
    prepare(import_model(GRAPHS / "gcn.onnx")).graph, QuantizerOptions()
).regions
