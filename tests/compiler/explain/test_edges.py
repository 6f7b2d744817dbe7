"""Conversions at the edges of layers of a small quantized model."""

import onnx_ir as ir
import pytest

from octavo.compiler.explain.edges import Edges, edges_of

# image -> conv -> relu -> pool -> scores; conv and pool are quantized at every edge.
MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (float[1,2,4,4] image) => (float[1,3,1,1] scores)
<float scale = {0.1}, uint8 zero = {0}, float[3,2,1,1] weight = {1,2,3,4,5,6}>
{
    image_q = QuantizeLinear (image, scale, zero)
    image_d = DequantizeLinear (image_q, scale, zero)
    hidden = Conv (image_d, weight)
    hidden_q = QuantizeLinear (hidden, scale, zero)
    hidden_d = DequantizeLinear (hidden_q, scale, zero)
    active = Sigmoid (hidden_d)
    active_q = QuantizeLinear (active, scale, zero)
    active_d = DequantizeLinear (active_q, scale, zero)
    pooled = GlobalAveragePool (active_d)
    pooled_q = QuantizeLinear (pooled, scale, zero)
    scores = DequantizeLinear (pooled_q, scale, zero)
}
"""


@pytest.fixture
def graph():
    model = ir.from_onnx_text(MODEL)
    for node in model.graph:
        node.name = node.outputs[0].name
    return model.graph


def edges(graph, *nodes, in_float=()):
    return edges_of(graph, set(nodes), set(in_float))


def test_between_integers_both_ends_are_converted(graph):
    assert edges(graph, "active") == Edges(("hidden_d", "active_q"), ())


def test_the_model_input_needs_no_conversion_any_more(graph):
    assert edges(graph, "hidden") == Edges(("hidden_q",), ("image_q",))


def test_nor_does_its_output(graph):
    assert edges(graph, "pooled") == Edges(("active_d",), ("scores",))


def test_a_float_neighbour_saves_its_conversion(graph):
    found = edges(graph, "active", in_float=["hidden"])
    assert found == Edges(("active_q",), ("hidden_q",))


def test_layers_together_have_outer_edges_only(graph):
    assert edges(graph, "hidden", "active") == Edges(("active_q",), ("image_q",))
    whole = edges(graph, "hidden", "active", "pooled")
    assert whole == Edges((), ("image_q", "scores"))
