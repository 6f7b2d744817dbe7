"""Training: weights and choices in turns, then the chosen network alone.

Weights follow the loss of training nodes, choices that of validation nodes plus the size:
L = CE(validation) + lambda * size.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from octavo.compiler.graph_search.fake_quantize import fake_quantize, fake_quantize_weight
from octavo.compiler.graph_search.forward import network_output
from octavo.compiler.graph_search.graph_data import GraphData
from octavo.compiler.graph_search.operators import GraphOperators
from octavo.compiler.graph_search.options import GraphSearchOptions
from octavo.compiler.graph_search.space import Architecture
from octavo.compiler.graph_search.supernet import Supernet
from octavo.compiler.graph_search.torch_operators import TorchOperators
from octavo.passes.message_passing.components import Role

WEIGHT_RATE, THETA_RATE, DECAY = 1e-2, 5e-2, 5e-4
FIRST_TAU, LAST_TAU = 1.0, 0.1
WARM_UP = 0.2  # of the steps: choices wait for weights that are worth comparing
LARGEST_GRADIENT = 1.0

Advance = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Searched:
    """What one search chose.

    Attributes:
        architecture: Layers and widths.
        weights: Trained with rounding, by name.
        validation_accuracy: Share of the validation nodes that it gets right, rounding.
    """

    architecture: Architecture
    weights: Mapping[str, Tensor]
    validation_accuracy: float


def search_network(
    data: GraphData,
    options: GraphSearchOptions,
    size_weight: float,
    advance: Advance = lambda done, total: None,
) -> Searched:
    """Search once, and train what was chosen.

    Args:
        data: The graph.
        options: What is wanted.
        size_weight: lambda: how many units of the loss 8 bits throughout cost more than none.
        advance: Told of steps done and in all.
    """
    graph = graph_tensors(data)
    degree = data.num_edges / data.num_nodes
    net = Supernet(options.space, data.num_features, data.num_classes, degree, options.seed)
    weights = torch.optim.Adam(net.weights.values(), lr=WEIGHT_RATE, weight_decay=DECAY)
    thetas = torch.optim.Adam(net.thetas.values(), lr=THETA_RATE, betas=(0.5, 0.999))
    total = options.steps + options.tuning_steps
    for step in range(options.steps):
        tau = FIRST_TAU * (LAST_TAU / FIRST_TAU) ** (step / max(1, options.steps - 1))
        loss = _loss(net.logits(graph, tau), data, data.train)
        _step(weights, loss, list(net.weights.values()))
        if step >= WARM_UP * options.steps:
            size = net.size(data.num_nodes, data.num_edges, tau, options.buffer_share)
            loss = _loss(net.logits(graph, tau), data, data.validation) + size_weight * size
            _step(thetas, loss, list(net.thetas.values()))
        advance(step + 1, total)
    return train_network(
        data,
        net.chosen(),
        net.chosen_weights(),
        options.tuning_steps,
        lambda done: advance(options.steps + done, total),
    )


def train_network(
    data: GraphData,
    architecture: Architecture,
    weights: dict[str, Tensor],
    steps: int,
    advance: Callable[[int], None] = lambda done: None,
) -> Searched:
    """Train one network with rounding; keep the weights best on validation nodes.

    Args:
        data: The graph.
        architecture: What it is.
        weights: To begin with; changed.
        steps: How many.
        advance: Told of steps done.
    """
    graph = graph_tensors(data)
    optimizer = torch.optim.Adam(weights.values(), lr=WEIGHT_RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    best, kept = -1.0, {n: w.detach().clone() for n, w in weights.items()}
    for step in range(steps + 1):
        logits = network_logits(architecture, weights, graph)
        reached = _accuracy(logits, data, data.validation)
        if reached >= best:
            best, kept = reached, {n: w.detach().clone() for n, w in weights.items()}
        if step < steps:
            _step(optimizer, _loss(logits, data, data.train), list(weights.values()))
            schedule.step()
            advance(step + 1)
    return Searched(architecture, kept, best)


def network_logits(
    architecture: Architecture, weights: Mapping[str, Tensor], graph: Mapping[str, Tensor]
) -> Tensor:
    """(N, classes) of a network, every component rounded as it says."""
    operators: dict[str, GraphOperators[Tensor]] = {}
    for name, block in zip(architecture.names, architecture.blocks, strict=True):

        def rounding(role: Role, x: Tensor, bits: Mapping[Role, int] = block.bits) -> Tensor:
            quantize = fake_quantize_weight if role is Role.WEIGHTS else fake_quantize
            return quantize(x, bits[role])

        operators[name] = TorchOperators(weights, graph, rounding)
    return network_output(operators, architecture, graph["x"])


@contextmanager
def single_thread() -> Iterator[None]:
    """One order of summation, so that a seed gives the same network again."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def graph_tensors(data: GraphData) -> dict[str, Tensor]:
    """The inputs as tensors."""
    return {name: torch.from_numpy(array) for name, array in data.inputs().items()}


def _loss(logits: Tensor, data: GraphData, mask: "object") -> Tensor:
    chosen = torch.as_tensor(mask)
    return functional.cross_entropy(logits[chosen], torch.as_tensor(data.labels)[chosen])


def _accuracy(logits: Tensor, data: GraphData, mask: "object") -> float:
    chosen = torch.as_tensor(mask)
    right = logits.argmax(dim=1)[chosen] == torch.as_tensor(data.labels)[chosen]
    return float(right.float().mean())


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, tensors: list[Tensor]) -> None:
    # Only the optimizer's own tensors get gradients; the others are held.
    gradients = torch.autograd.grad(loss, tensors, allow_unused=True)
    for tensor, gradient in zip(tensors, gradients, strict=True):
        tensor.grad = gradient
    torch.nn.utils.clip_grad_norm_(tensors, LARGEST_GRADIENT)
    optimizer.step()
