"""What may be chosen, and what a choice stores."""

import pytest

from octavo.compiler.graph_search.cost import LayerSizes, live_bits, network_bits, weight_bits
from octavo.compiler.graph_search.options import GraphSearchOptions
from octavo.compiler.graph_search.space import Architecture, Block, GraphSpace
from octavo.errors import RecipeError
from octavo.passes.message_passing.components import Role

BITS = {
    Role.WEIGHTS: 4, Role.FEATURES: 8, Role.MESSAGES: 2, Role.COEFFICIENTS: 8,
    Role.AGGREGATED: 16,
}  # fmt: skip
SIZES = LayerSizes(num_nodes=10, num_edges=30, num_in=6, num_out=4, heads=2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layers": ("gcn", "cnn")}, "layers gcn, cnn; allowed"),
        ({"layers": ()}, "layers none"),
        ({"layers": ("gcn", "gcn")}, "once each"),
        ({"activations": ("sine",)}, "relu, leaky_relu, elu, tanh"),
        ({"weight_bits": (32,)}, "weight bits 32; allowed: one or more, once each, of 2, 3"),
        ({"activation_bits": (5,)}, "activation bits 5"),
        ({"num_layers": 0}, "0 layers"),
        ({"hidden": 6}, "6 channels with 4 heads"),
    ],
)
def test_spaces_are_checked(changed, message) -> None:
    with pytest.raises(RecipeError, match=message):
        GraphSpace(**changed)


@pytest.mark.parametrize(
    "changed", [{"size_weights": (-1.0,)}, {"size_weights": ()}, {"steps": 0}]
)
def test_options_are_checked(changed) -> None:
    with pytest.raises(RecipeError, match="allowed"):
        GraphSearchOptions(**changed)


def test_weights_are_matrices_of_their_width() -> None:
    assert weight_bits("gcn", SIZES, BITS) == 4 * 24
    assert weight_bits("sage_mean", SIZES, BITS) == 4 * 48
    assert weight_bits("gat", SIZES, BITS) == 4 * 24 + 8 * 8  # two vectors of attention
    assert weight_bits("sir_gcn", SIZES, BITS) == 4 * (24 + 24 + 16)


def test_what_is_alive_is_what_steps_read_and_make() -> None:
    # Features and messages; messages, weights of edges and sums.
    assert live_bits("gcn", SIZES, BITS) == [
        10 * 6 * 8 + 10 * 4 * 2, 10 * 4 * 2 + 30 * 8 + 10 * 4 * 8,
    ]  # fmt: skip
    # Rows of the input are gathered; then the sums are read by a linear layer.
    assert live_bits("sage_max", SIZES, BITS) == [
        10 * 6 * 2 + 10 * 6 * 16, 10 * 6 * 16 + 10 * 4 * 2,
    ]  # fmt: skip
    # Coefficients of two heads; two tensors of pairs.
    assert live_bits("gat", SIZES, BITS)[1] == 10 * 4 * 2 + 30 * 2 * 8 + 10 * 4 * 8
    assert live_bits("sir_gcn", SIZES, BITS)[0] == 10 * 6 * 8 + 2 * 10 * 4 * 2


def test_a_network_stores_all_weights_and_the_largest_step() -> None:
    blocks = (Block("gcn", "relu", True, BITS), Block("gcn", "none", False, BITS))
    architecture = Architecture(blocks, num_features=6, num_classes=3, hidden=4, heads=2)
    weights, alive = network_bits(architecture, 10, 30)
    assert weights == 4 * (6 * 4 + 6 * 4 + 4 * 3)
    assert alive == max(live_bits("gcn", SIZES, BITS))
    assert architecture.shapes() == {
        "layer1.lin.weight": (4, 6), "layer1.bias": (4,), "layer1.shortcut.weight": (4, 6),
        "layer2.lin.weight": (3, 4), "layer2.bias": (3,),
    }  # fmt: skip
    assert architecture.reads_edge_weight
    text = "gcn+shortcut relu (weights:4 messages:2 features:8 coefficients:8)"
    assert str(blocks[0]) == text
