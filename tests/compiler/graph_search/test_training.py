"""The search in PyTorch; skipped where it is not installed."""

import numpy as np
import onnxruntime
import pytest
from tests.compiler.graph_search.block_data import write_graph

torch = pytest.importorskip("torch")

from octavo.compiler.graph_search.cost import network_bits  # noqa: E402
from octavo.compiler.graph_search.fake_quantize import (  # noqa: E402
    fake_quantize,
    fake_quantize_weight,
)
from octavo.compiler.graph_search.graph_data import read_graph  # noqa: E402
from octavo.compiler.graph_search.layers import LAYER_KINDS  # noqa: E402
from octavo.compiler.graph_search.onnx_operators import export_network  # noqa: E402
from octavo.compiler.graph_search.options import GraphSearchOptions  # noqa: E402
from octavo.compiler.graph_search.space import Architecture, Block, GraphSpace  # noqa: E402
from octavo.compiler.graph_search.start import start_weights  # noqa: E402
from octavo.compiler.graph_search.supernet import Supernet  # noqa: E402
from octavo.compiler.graph_search.training import (  # noqa: E402
    graph_tensors,
    network_logits,
    search_network,
)
from octavo.passes.message_passing.components import Role  # noqa: E402

FINE = dict.fromkeys(Role, 16)  # nothing is rounded


@pytest.fixture
def data(tmp_path):
    return read_graph(write_graph(tmp_path / "graph.npz"))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_rounded_tensors_have_as_many_values_and_zero_among_them(bits) -> None:
    x = torch.linspace(-1, 3, 1000, requires_grad=True)
    rounded = fake_quantize(x, bits)
    assert len(rounded.unique()) == 2**bits
    assert (rounded == 0).any()
    assert (rounded - x).abs().max() <= 4 / (2**bits - 1) * 0.5001 + 1e-6 or bits == 2
    (gradient,) = torch.autograd.grad(rounded.sum(), [x])
    assert (gradient == 1).all()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_rounded_weights_are_symmetric_multiples_of_a_scale_of_each_row(bits) -> None:
    weight = torch.randn((3, 400), generator=torch.Generator().manual_seed(0))
    rounded = fake_quantize_weight(weight, bits)
    for row in rounded:
        assert len(row.unique()) <= 2**bits - 1
        steps = row / row[row != 0].abs().min()
        assert (steps - steps.round()).abs().max() < 1e-3
    largest = weight.abs().amax(dim=1, keepdim=True)
    levels = 2 ** (bits - 1) - 1
    plain = torch.round(weight / largest * levels) * largest / levels
    assert ((rounded - weight) ** 2).mean() <= ((plain - weight) ** 2).mean()


@pytest.mark.parametrize("kind", LAYER_KINDS)
def test_what_is_trained_is_what_is_exported(kind, data) -> None:
    blocks = (Block(kind, "elu", True, FINE), Block(kind, "none", False, FINE))
    architecture = Architecture(blocks, data.num_features, data.num_classes, 8, 2)
    weights = start_weights(architecture.shapes(), 6.0, seed=1)
    trained = network_logits(architecture, weights, graph_tensors(data)).detach().numpy()
    arrays = {name: tensor.detach().numpy() for name, tensor in weights.items()}
    model, _ = export_network(architecture, arrays, data.num_nodes, data.num_edges)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    fed = {value.name: data.inputs()[value.name] for value in session.get_inputs()}
    (exported,) = session.run(None, fed)
    np.testing.assert_allclose(exported, trained, rtol=0, atol=1e-5 * np.abs(trained).max())


def test_a_decided_mixture_is_the_chosen_network(data) -> None:
    space = GraphSpace(layers=("gcn", "gin", "gat"), hidden=8, heads=2)
    net = Supernet(space, data.num_features, data.num_classes, 6.0, seed=0)
    decided = torch.Generator().manual_seed(3)
    for theta in net.thetas.values():
        with torch.no_grad():
            theta[torch.randint(len(theta), (), generator=decided)] = 100.0
    chosen = net.chosen()
    expected = network_logits(chosen, net.chosen_weights(), graph_tensors(data))
    got = net.logits(graph_tensors(data), tau=0.1)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    assert chosen.shapes().keys() == net.chosen_weights().keys()


def test_less_is_stored_where_size_counts_more(data) -> None:
    space = GraphSpace(layers=("gcn",), hidden=8, heads=2, shortcuts=False)
    options = GraphSearchOptions(space, steps=40, tuning_steps=30)
    free, small = (search_network(data, options, weight) for weight in (0.0, 100.0))
    assert {block.bits[Role.WEIGHTS] for block in small.architecture.blocks} == {2}
    stored = [
        sum(network_bits(found.architecture, data.num_nodes, data.num_edges))
        for found in (free, small)
    ]
    assert stored[1] < stored[0]
    assert free.validation_accuracy > 0.6  # of three classes
    again = search_network(data, options, 0.0)
    assert again.architecture == free.architecture
