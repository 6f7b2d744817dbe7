"""What is exported: the layers' formulas, and formats by the names that configurations use."""

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from examples.graphs.graph import normalized_weights
from examples.graphs.networks import LAYERS
from examples.graphs.random_multigraph import random_multigraph

from octavo.compiler.graph_search.layers import LAYER_KINDS
from octavo.compiler.graph_search.onnx_operators import export_network
from octavo.compiler.graph_search.space import Architecture, Block
from octavo.compiler.importer import import_model
from octavo.passes.message_passing.components import Role, find_components
from octavo.passes.prepare import prepare

NUM_NODES, NUM_EDGES, NUM_FEATURES = 17, 60, 6
TOLERANCE = 1e-5  # of sums over twenty neighbours in float32, in another order
BITS = {
    Role.WEIGHTS: 4, Role.FEATURES: 8, Role.MESSAGES: 3, Role.COEFFICIENTS: 2,
    Role.AGGREGATED: 16,
}  # fmt: skip


def network(*kinds: str, activation: str = "relu", shortcut: bool = False) -> Architecture:
    ends = [activation] * (len(kinds) - 1) + ["none"]
    blocks = [Block(k, a, shortcut, BITS) for k, a in zip(kinds, ends, strict=True)]
    return Architecture(tuple(blocks), NUM_FEATURES, 4, hidden=8, heads=2)


def drawn(architecture: Architecture) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = architecture.shapes()
    return {n: 0.4 * rng.standard_normal(s, np.float32) for n, s in shapes.items()}


def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    edges = random_multigraph(NUM_NODES, NUM_EDGES, rng)
    return {
        "x": rng.standard_normal((NUM_NODES, NUM_FEATURES), np.float32),
        "edge_index": edges,
        "edge_weight": normalized_weights(edges, NUM_NODES),
    }


def run(architecture: Architecture, weights: dict[str, np.ndarray]) -> np.ndarray:
    model, _ = export_network(architecture, weights, NUM_NODES, NUM_EDGES)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    fed = {value.name: inputs()[value.name] for value in session.get_inputs()}
    (logits,) = session.run(None, fed)
    return logits


def own(weights: dict[str, np.ndarray], layer: str) -> dict[str, np.ndarray]:
    return {n.removeprefix(layer): a for n, a in weights.items() if n.startswith(layer)}


@pytest.mark.parametrize("kind", LAYER_KINDS)
def test_a_layer_is_that_of_the_examples(kind: str) -> None:
    architecture = network(kind)
    weights = drawn(architecture)
    data = inputs()
    expected = LAYERS[kind].reference(
        own(weights, "layer1."), data["edge_index"], data["edge_weight"], data["x"]
    )
    np.testing.assert_allclose(run(architecture, weights), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "tanh"])
def test_layers_follow_each_other_with_activations_and_shortcuts(activation: str) -> None:
    functions = {
        "relu": lambda y: np.maximum(y, 0),
        "leaky_relu": lambda y: np.where(y > 0, y, 0.2 * y),
        "elu": lambda y: np.where(y > 0, y, np.expm1(np.minimum(y, 0))),
        "tanh": np.tanh,
    }
    architecture = network("sage_mean", "gin", activation=activation, shortcut=True)
    weights, data = drawn(architecture), inputs()
    x = data["x"]
    for name, kind in zip(architecture.names, ("sage_mean", "gin"), strict=True):
        of_layer = own(weights, f"{name}.")
        y = LAYERS[kind].reference(of_layer, data["edge_index"], data["edge_weight"], x)
        x = y + x @ of_layer["shortcut.weight"].T
        x = functions[activation](x) if name == "layer1" else x
    got = run(architecture, weights)
    np.testing.assert_allclose(got, x, rtol=0, atol=TOLERANCE * np.abs(x).max())


@pytest.mark.parametrize("kind", LAYER_KINDS)
def test_formats_name_the_nodes_that_the_compiler_finds(kind: str, tmp_path) -> None:
    architecture = network(kind, kind, shortcut=True)
    model, formats = export_network(architecture, drawn(architecture), NUM_NODES, NUM_EDGES)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    prepared: ir.Model = prepare(import_model(path))
    found = {component.role: component.nodes for component in find_components(prepared.graph)}
    assert {name for names in found.values() for name in names} == set(formats)
    for role, names in found.items():
        kind_of = "weight_bits" if role.is_weight else "activation_bits"
        expected = 8 if role is Role.ATTENTION else BITS[role]
        if role is Role.AGGREGATED and role not in LAYER_KINDS[kind].roles:
            expected = BITS[Role.FEATURES]  # of the layer behind
        assert {getattr(formats[name], kind_of) for name in names} == {expected}, role
