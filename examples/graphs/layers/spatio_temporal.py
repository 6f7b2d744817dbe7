"""A shared encoder of each node's past, then convolution over a graph that never changes.

The graph is the normalized adjacency as a constant (N, N): MatMul with it is the aggregation.
The encoder is a GRU or two causal convolutions over time (TCN), the same for all nodes.

Source: Cini et al., Graph Deep Learning for Time Series Forecasting, arXiv:2310.15978.
"""

import numpy as np

from examples.graphs.aggregate import Floats, linear, relu
from examples.graphs.onnx_writer import Writer

KERNEL = 3  # steps of a causal convolution
DILATIONS = (1, 2)
ENCODERS = ("gru", "tcn")
Weights = dict[str, Floats]
Shapes = dict[str, tuple[int, ...]]


def forecaster_shapes(encoder: str, hidden: int, num_nodes: int) -> Shapes:
    """Weights of a network that reads (T, N, 1) and forecasts (N, 1)."""
    encoders: dict[str, Shapes] = {
        "gru": {
            "gru.w": (1, 3 * hidden, 1),
            "gru.r": (1, 3 * hidden, hidden),
            "gru.b": (1, 6 * hidden),
        },
        "tcn": {
            "tcn.0.weight": (hidden, 1, KERNEL),
            "tcn.0.bias": (hidden,),
            "tcn.1.weight": (hidden, hidden, KERNEL),
            "tcn.1.bias": (hidden,),
        },
    }
    return {
        **encoders[encoder],
        "node": (num_nodes, hidden),
        "own.weight": (hidden, hidden),
        "own.bias": (hidden,),
        "neighbours.weight": (hidden, hidden),
        "head.weight": (1, hidden),
        "head.bias": (1,),
    }


def forecaster(writer: Writer, encoder: str, x: str) -> str:
    """Append last + head(relu(W_own h + A W_neighbours h)), h the encoded past plus a node's
    own vector; the adjacency is the weight "adjacency".
    """
    state = _gru(writer, x) if encoder == "gru" else _tcn(writer, x)
    state = writer.add("Add", [state, "node"], "embed")
    moved = writer.linear(state, "neighbours")
    moved = writer.add("MatMul", ["adjacency", moved], "neighbours")
    mixed = writer.add("Add", [writer.linear(state, "own"), moved], "mix")
    change = writer.linear(writer.add("Relu", [mixed], "mix"), "head")
    last = writer.add("Gather", [x, writer.constant(-1)], "last", axis=0)
    return writer.add("Add", [last, change], "head")


def forecaster_reference(weights: Weights, encoder: str, x: Floats) -> Floats:
    """Return (N, 1) of x (T, N, 1)."""
    state = _gru_reference(weights, x) if encoder == "gru" else _tcn_reference(weights, x)
    state = state + weights["node"]
    moved = weights["adjacency"] @ linear(state, weights, "neighbours.")
    mixed = relu(linear(state, weights, "own.") + moved)
    return x[-1] + linear(mixed, weights, "head.")


def _gru(writer: Writer, x: str) -> str:
    hidden = writer.weights["gru.r"].shape[2]
    # The second output is the last state; PyTorch resets after the recurrent product.
    outputs = writer.add_outputs(
        "GRU",
        [x, "gru.w", "gru.r", "gru.b"],
        "gru",
        2,
        hidden_size=hidden,
        linear_before_reset=1,
    )
    return writer.add("Squeeze", [outputs[1], writer.constant([0])], "gru")


def _gru_reference(weights: Weights, x: Floats) -> Floats:
    """Return (N, H); the gates stand in ONNX's order: update, reset, new."""
    w, r = weights["gru.w"][0], weights["gru.r"][0]
    input_bias, state_bias = np.split(weights["gru.b"][0], 2)
    state = np.zeros((x.shape[1], r.shape[1]), np.float32)
    for step in x:
        given = np.split(step @ w.T + input_bias, 3, axis=1)
        kept = np.split(state @ r.T + state_bias, 3, axis=1)
        update, reset = (1 / (1 + np.exp(-(given[k] + kept[k]))) for k in range(2))
        state = (1 - update) * np.tanh(given[2] + reset * kept[2]) + update * state
    return state


def _tcn(writer: Writer, x: str) -> str:
    y = writer.add("Transpose", [x], "tcn", perm=[1, 2, 0])
    for k, dilation in enumerate(DILATIONS):
        y = writer.add(
            "Conv",
            [y, f"tcn.{k}.weight", f"tcn.{k}.bias"],
            "tcn",
            kernel_shape=[KERNEL],
            dilations=[dilation],
            pads=[(KERNEL - 1) * dilation, 0],
        )
        y = writer.add("Relu", [y], "tcn")
    return writer.add("Gather", [y, writer.constant(-1)], "tcn", axis=2)


def _tcn_reference(weights: Weights, x: Floats) -> Floats:
    """Return (N, H)."""
    y = x.transpose(1, 2, 0)
    for k, dilation in enumerate(DILATIONS):
        reach = (KERNEL - 1) * dilation
        padded = np.pad(y, ((0, 0), (0, 0), (reach, 0)))
        total = weights[f"tcn.{k}.bias"][:, None]
        for tap in range(KERNEL):
            piece = padded[:, :, tap * dilation : tap * dilation + y.shape[2]]
            total = total + weights[f"tcn.{k}.weight"][:, :, tap] @ piece
        y = relu(total)
    return y[:, :, -1]
