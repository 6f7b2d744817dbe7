"""Train the graph networks; write the ONNX files and their data here.

Needs torch: pip install torch onnx, then python -m examples.graphs.train from the repository's
root.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn import functional

from examples.graphs import samples
from examples.graphs.layers.spatio_temporal import ENCODERS, forecaster_shapes
from examples.graphs.networks import (
    Shapes,
    Sizes,
    node_classifier,
    random_weights,
    weight_shapes,
)
from examples.graphs.onnx_writer import Array
from examples.graphs.torch_layers import classify_nodes, forecast, gcn_dense
from examples.graphs.whole_graph_networks import dense_gcn, forecasting_network

FOLDER = Path(__file__).resolve().parent
TRAINED = (
    "gcn",
    "sage_mean",
    "sage_max",
    "gin",
    "gat",
    "gatv2",
    "chebyshev",
    "sir_gcn",
    "sheaf",
)
WITH_LOOPS = ("gcn", "gat", "gatv2")
NUM_TRAIN, NUM_CALIBRATION, NUM_TEST = 8, 3, 4  # graphs; calibration graphs are trained on
STEPS, RATE, DECAY = 400, 1e-2, 5e-3
TRAIN_SEED, TEST_SEED = 1, 2


def start(shapes: Shapes, seed: int = samples.SEED) -> dict[str, Tensor]:
    """Return random weights to train; vectors start at 0, GIN's 1 + epsilon at 1.

    What multiplies a sum over neighbours starts smaller by their mean number: GIN does not
    recover from the first steps otherwise.
    """
    drawn = random_weights(shapes, np.random.default_rng(seed))
    for name, array in drawn.items():
        if name.endswith("bias") or name == "gru.b":
            array[:] = 0
        if name.endswith("scale"):
            array[:] = 1
        if name.endswith((".nn.0.weight", ".r.weight")):
            array[:] = array / (samples.BLOCK_EDGES / samples.BLOCK_NODES)
    return {name: torch.tensor(a, requires_grad=True) for name, a in drawn.items()}


def fit(weights: dict[str, Tensor], loss: Callable[[int], Tensor]) -> dict[str, Array]:
    """Minimize the loss of each step; the same seed gives the same weights."""
    optimizer = torch.optim.AdamW(list(weights.values()), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss(step).backward()
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        optimizer.step()
        schedule.step()
    return {name: tensor.detach().numpy() for name, tensor in weights.items()}


def train_node_classifier(name: str) -> onnx.ModelProto:
    """Train a network of networks.LAYERS on block models."""
    graphs = _tensors(samples.block_graphs(NUM_TRAIN, TRAIN_SEED, name in WITH_LOOPS))
    sizes = Sizes(samples.BLOCK_NODES, graphs["edge_index"].shape[2])
    weights = start(weight_shapes(name, sizes))

    def loss(step: int) -> Tensor:
        graph = {key: array[step % NUM_TRAIN] for key, array in graphs.items()}
        logits = classify_nodes(name, weights, graph)
        return functional.cross_entropy(logits, graph["label"], label_smoothing=0.05)

    return node_classifier(name, fit(weights, loss), sizes)


def train_club() -> onnx.ModelProto:
    """Train a GCN on the karate club, two members' clubs known."""
    club = _tensors(samples.club_samples())
    x, label, known = club["x"][0], club["label"][0], club["known"][0]
    adjacency = samples.club_adjacency()
    sizes = Sizes(len(x), None, num_features=len(x), hidden=16, num_classes=2)
    weights = start(weight_shapes("gcn", sizes))

    def loss(step: int) -> Tensor:
        logits = gcn_dense(weights, torch.from_numpy(adjacency), x)
        return functional.cross_entropy(logits[known], label[known])

    return dense_gcn(fit(weights, loss), adjacency, sizes)


def train_forecaster(encoder: str, train: dict[str, Array]) -> onnx.ModelProto:
    """Train a forecaster on the diffusion series."""
    data = _tensors(train)
    adjacency = samples.series_adjacency()
    fixed = {"adjacency": torch.from_numpy(adjacency)}
    weights = start(forecaster_shapes(encoder, 16, len(adjacency)))
    batch = torch.Generator().manual_seed(samples.SEED)

    def loss(step: int) -> Tensor:
        chosen = torch.randint(len(data["x"]), (32,), generator=batch)
        ahead = forecast({**weights, **fixed}, encoder, data["x"][chosen])
        return functional.mse_loss(ahead, data["next"][chosen])

    fitted = {**fit(weights, loss), "adjacency": adjacency}
    return forecasting_network(fitted, encoder, samples.NUM_PAST)


def _tensors(arrays: dict[str, Array]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def write_data(train: dict[str, Array], test: dict[str, Array]) -> None:
    """Write what calibrates and judges the networks."""
    for suffix, loops in (("", False), ("_loops", True)):
        seen = samples.block_graphs(NUM_CALIBRATION, TRAIN_SEED, loops)
        del seen["label"]
        np.savez_compressed(FOLDER / f"calibration{suffix}.npz", **seen)
        unseen = samples.block_graphs(NUM_TEST, TEST_SEED, loops)
        np.savez_compressed(FOLDER / f"test{suffix}.npz", **unseen)
    np.savez_compressed(FOLDER / "club.npz", **samples.club_samples())
    np.savez_compressed(FOLDER / "calibration_series.npz", x=train["x"][::8])
    np.savez_compressed(FOLDER / "test_series.npz", **test)


def main() -> None:
    """Train all and write the files; tests/examples judges them."""
    torch.set_num_threads(1)  # one order of summation, so one result
    torch.manual_seed(samples.SEED)
    train, test = samples.series_samples()
    write_data(train, test)
    for name in TRAINED:
        onnx.save(train_node_classifier(name), FOLDER / f"{name}.onnx")
    onnx.save(train_club(), FOLDER / "karate_gcn.onnx")
    for encoder in ENCODERS:
        onnx.save(train_forecaster(encoder, train), FOLDER / f"forecast_{encoder}.onnx")


if __name__ == "__main__":
    main()
