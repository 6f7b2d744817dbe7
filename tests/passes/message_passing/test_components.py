"""Which node's width each component of the trained graph networks is."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from octavo.compiler.importer import import_model
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat
from octavo.passes.message_passing.components import (
    Component,
    Role,
    component_formats,
    find_components,
)
from octavo.passes.prepare import prepare

GRAPHS = Path(__file__).parents[3] / "examples" / "graphs"
READOUT = {
    "zero": np.int64(0), "one": np.int64(1), "column": np.array([-1, 1]),
    "wide": np.array([8, 3]), "base": np.zeros((5, 3), np.float32),
    "axis": np.array([0]), "w": np.ones((3, 2), np.float32),
}  # fmt: skip


def found(name: str) -> dict[str, tuple[str, ...]]:
    model = prepare(import_model(GRAPHS / f"{name}.onnx"))
    return {c.role.value: c.nodes for c in find_components(model.graph)}


def test_a_gcn_has_all_but_a_readout() -> None:
    sums = ("layer1/ScatterElements_1", "layer2/ScatterElements_1")
    assert found("gcn") == {
        "weights": ("layer1.lin/Gemm_1", "layer2.lin/Gemm_1"),
        "features": ("layer1.lin/Gemm_1",),
        "messages": sums,
        "coefficients": sums,
        "aggregated": ("layer2.lin/Gemm_1",),  # bias and Relu are on the way
    }


@pytest.mark.parametrize(
    ("name", "aggregated", "features"),
    [
        ("sage_mean", ("layer1.lin_l", "layer2.lin_l"), ()),
        ("gin", ("layer1.nn.0", "layer2.nn.0"), ("layer1.nn.2", "layer2.nn.2")),
        (
            "sir_gcn",
            ("layer1.r", "layer2.r"),
            ("layer1.q", "layer1.k", "layer2.q", "layer2.k"),
        ),
    ],
)
def test_layers_read_what_nodes_have_aggregated_or_features(
    name, aggregated, features
) -> None:
    parts = found(name)
    assert {n.split("/")[0] for n in parts["aggregated"]} == set(aggregated)
    assert {n.split("/")[0] for n in parts.get("features", ())} == set(features)
    assert "coefficients" not in parts


@pytest.mark.parametrize(
    ("name", "readers"),
    [
        ("sage_mean", {"layer1.lin_r/Gemm_1", "layer2.lin_r/Gemm_1"}),
        ("gin", set()),
        ("gcn", set()),
    ],
)
def test_messages_are_messages_to_all_layers_that_read_them(name, readers):
    messages = set(found(name)["messages"])
    assert readers <= messages
    assert {n for n in messages if "Scatter" not in n} == readers


@pytest.mark.parametrize(("name", "number"), [("gat", 4), ("gatv2", 2)])
def test_vectors_of_attention_are_a_component(name, number):
    parts = found(name)
    assert len(parts["attention"]) == number  # of two layers
    assert not set(parts["attention"]) & set(parts["weights"])


def test_a_stored_adjacency_is_coefficients() -> None:
    parts = found("karate_gcn")
    assert parts["coefficients"] == parts["messages"]
    assert len(parts["weights"]) == 2


def test_other_networks_have_none() -> None:
    digits = GRAPHS.parent / "digits" / "digits.onnx"
    assert find_components(import_model(digits).graph) == ()


def test_widths_meet_in_the_formats_of_nodes() -> None:
    parts = (
        Component(Role.WEIGHTS, ("a", "b")),
        Component(Role.FEATURES, ("a",)),
        Component(Role.MESSAGES, ("sum",)),
        Component(Role.COEFFICIENTS, ("sum",)),
        Component(Role.AGGREGATED, ("b",)),
    )
    bits = {Role.WEIGHTS: 4, Role.MESSAGES: 3, Role.AGGREGATED: 2}
    assert component_formats(parts, bits, EIGHT_BITS) == {
        "a": LayerFormat(4, 8), "b": LayerFormat(4, 2), "sum": LayerFormat(8, 3),
    }  # fmt: skip


def test_a_readout_has_its_own_width(build) -> None:
    nodes = """s = Gather<axis=0>(e, zero) d = Gather<axis=0>(e, one) m = Gather<axis=0>(x, s)
        c = Reshape(d, column) i = Expand(c, wide)
        t = ScatterElements<axis=0, reduction="add">(base, i, m)
        p = ReduceMean<keepdims=1>(t, axis) y = Gemm(p, w)"""
    model: ir.Model = build(
        f"g (float[5,3] x, int64[2,8] e) => (float[1,2] y) {{ {nodes} }}", **READOUT
    )
    parts = {c.role: c.nodes for c in find_components(model.graph)}
    assert len(parts[Role.READOUT]) == 1
    assert Role.AGGREGATED not in parts
