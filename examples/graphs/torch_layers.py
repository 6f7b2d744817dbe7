"""The layers in PyTorch, for training; the weights bear the names they have in ONNX."""

import torch
from torch import Tensor
from torch.nn import functional

from examples.graphs.layers.attention import NEGATIVE_SLOPE
from examples.graphs.layers.convolutional import ORDER
from examples.graphs.layers.sheaf import STALK
from examples.graphs.layers.spatio_temporal import DILATIONS, KERNEL
from examples.graphs.networks import LAYERS

Weights = dict[str, Tensor]


def classify_nodes(name: str, weights: Weights, inputs: Weights) -> Tensor:
    """Return the logits (N, classes), as networks.node_classifier_reference does."""
    edges, extra = inputs["edge_index"], inputs["edge_weight"]
    layer, framed = TORCH_LAYERS[name], LAYERS[name].framed
    y = _linear(inputs["x"], weights, "lin_in.") if framed else inputs["x"]
    y = torch.relu(layer(_of("layer1", weights), edges, extra, y))
    y = layer(_of("layer2", weights), edges, extra, functional.dropout(y, 0.2))
    return _linear(y, weights, "out.") if framed else y


def gcn_dense(weights: Weights, adjacency: Tensor, x: Tensor) -> Tensor:
    """Return the logits (N, classes) of two GCN layers on one stored graph."""
    y = torch.relu(adjacency @ _linear(x, weights, "layer1.lin.") + weights["layer1.bias"])
    return adjacency @ _linear(y, weights, "layer2.lin.") + weights["layer2.bias"]


def forecast(weights: Weights, encoder: str, x: Tensor) -> Tensor:
    """Return (S, N, 1) of x (S, T, N, 1): many samples at once."""
    samples, steps, nodes, _ = x.shape
    series = x.permute(0, 2, 1, 3).reshape(samples * nodes, steps, 1)
    state = _gru(weights, series) if encoder == "gru" else _tcn(weights, series)
    state = state.reshape(samples, nodes, -1) + weights["node"]
    moved = weights["adjacency"] @ _linear(state, weights, "neighbours.")
    mixed = torch.relu(_linear(state, weights, "own.") + moved)
    return x[:, -1] + _linear(mixed, weights, "head.")


def _gcn(w: Weights, edges: Tensor, edge_weight: Tensor, x: Tensor) -> Tensor:
    y = _linear(x, w, "lin.")[edges[0]] * edge_weight[:, None]
    return _sum(y, edges, len(x)) + w["bias"]


def _sage(w: Weights, edges: Tensor, extra: Tensor, x: Tensor) -> Tensor:
    count = torch.bincount(edges[1], minlength=len(x)).clamp(min=1)
    mean = _sum(x[edges[0]], edges, len(x)) / count[:, None]
    return _linear(mean, w, "lin_l.") + _linear(x, w, "lin_r.")


def _sage_max(w: Weights, edges: Tensor, extra: Tensor, x: Tensor) -> Tensor:
    most = _max(x[edges[0]], edges, len(x))
    return _linear(most, w, "lin_l.") + _linear(x, w, "lin_r.")


def _gin(w: Weights, edges: Tensor, extra: Tensor, x: Tensor) -> Tensor:
    y = _sum(x[edges[0]], edges, len(x)) + w["scale"] * x
    return _linear(torch.relu(_linear(y, w, "nn.0.")), w, "nn.2.")


def _gat(w: Weights, edges: Tensor, extra: Tensor, x: Tensor) -> Tensor:
    y = _linear(x, w, "lin.").reshape(len(x), w["att_src"].shape[1], -1)
    source, destination = ((y * w[end]).sum(dim=-1) for end in ("att_src", "att_dst"))
    scores = functional.leaky_relu(source[edges[0]] + destination[edges[1]], NEGATIVE_SLOPE)
    return _attend(scores, y[edges[0]], edges, len(x)) + w["bias"]


def _gatv2(w: Weights, edges: Tensor, extra: Tensor, x: Tensor) -> Tensor:
    shape = (len(x), w["att"].shape[1], -1)
    left = _linear(x, w, "lin_l.").reshape(shape)[edges[0]]
    right = _linear(x, w, "lin_r.").reshape(shape)[edges[1]]
    scores = (functional.leaky_relu(left + right, NEGATIVE_SLOPE) * w["att"]).sum(dim=-1)
    return _attend(scores, left, edges, len(x)) + w["bias"]


def _chebyshev(w: Weights, edges: Tensor, edge_weight: Tensor, x: Tensor) -> Tensor:
    def multiply(y: Tensor) -> Tensor:
        return _sum(y[edges[0]] * edge_weight[:, None], edges, len(x))

    terms = [x, multiply(x)]
    while len(terms) < ORDER:
        terms.append(2 * multiply(terms[-1]) - terms[-2])
    return sum(_linear(y, w, f"lins.{k}.") for k, y in enumerate(terms)) + w["bias"]


def _sir_gcn(w: Weights, edges: Tensor, extra: Tensor, x: Tensor) -> Tensor:
    y = _linear(x, w, "q.")[edges[1]] + _linear(x, w, "k.")[edges[0]]
    return _linear(_sum(torch.relu(y), edges, len(x)), w, "r.")


def _sheaf(w: Weights, edges: Tensor, extra: Tensor, x: Tensor) -> Tensor:
    def rotation(here: Tensor, there: Tensor) -> Tensor:
        a = torch.tanh(_linear(torch.cat([here, there], dim=1), w, "angle."))
        cosine, sine = (1 - a * a) / (1 + a * a), 2 * a / (1 + a * a)
        return torch.cat([cosine, -sine, sine, cosine], dim=1).reshape(-1, 2, 2)

    source, destination = edges
    stalks = x.reshape(len(x), STALK, -1)
    y = w["left"] @ stalks @ w["right"]
    back = rotation(x[destination], x[source]).transpose(1, 2)
    turn = back @ rotation(x[source], x[destination])
    degree = torch.bincount(destination, minlength=len(x)).float()[:, None, None]
    inverse = (degree + 1) ** -0.5
    messages = inverse[destination] * inverse[source] * (turn @ y[source])
    change = inverse**2 * degree * y - _sum(messages, edges, len(x))
    return (stalks - functional.elu(change)).reshape(len(x), -1)


TORCH_LAYERS = {
    "gcn": _gcn,
    "sage_mean": _sage,
    "sage_max": _sage_max,
    "gin": _gin,
    "gat": _gat,
    "gatv2": _gatv2,
    "chebyshev": _chebyshev,
    "sir_gcn": _sir_gcn,
    "sheaf": _sheaf,
}


def _gru(w: Weights, x: Tensor) -> Tensor:
    """Return the last state (B, H) of x (B, T, 1); gates in ONNX's order."""
    input_bias, state_bias = w["gru.b"][0].chunk(2)
    state = torch.zeros(len(x), w["gru.r"].shape[2])
    for step in x.unbind(dim=1):
        given = functional.linear(step, w["gru.w"][0], input_bias).chunk(3, dim=1)
        kept = functional.linear(state, w["gru.r"][0], state_bias).chunk(3, dim=1)
        update, reset = (torch.sigmoid(given[k] + kept[k]) for k in range(2))
        state = (1 - update) * torch.tanh(given[2] + reset * kept[2]) + update * state
    return state


def _tcn(w: Weights, x: Tensor) -> Tensor:
    y = x.transpose(1, 2)
    for k, dilation in enumerate(DILATIONS):
        y = functional.pad(y, ((KERNEL - 1) * dilation, 0))
        weight, bias = w[f"tcn.{k}.weight"], w[f"tcn.{k}.bias"]
        y = torch.relu(functional.conv1d(y, weight, bias, dilation=dilation))
    return y[:, :, -1]


def _attend(scores: Tensor, messages: Tensor, edges: Tensor, num_nodes: int) -> Tensor:
    """Return (N, H C): messages (E, H, C) weighted by the softmax of scores (E, H)."""
    exps = torch.exp(scores - _max(scores.detach(), edges, num_nodes)[edges[1]])
    weights = exps / _sum(exps, edges, num_nodes)[edges[1]]
    return _sum(weights[:, :, None] * messages, edges, num_nodes).flatten(1)


def _sum(messages: Tensor, edges: Tensor, num_nodes: int) -> Tensor:
    total = messages.new_zeros((num_nodes, *messages.shape[1:]))
    return total.index_add(0, edges[1], messages)


def _max(messages: Tensor, edges: Tensor, num_nodes: int) -> Tensor:
    index = edges[1].reshape(-1, *[1] * (messages.dim() - 1)).expand_as(messages)
    start = messages.new_zeros((num_nodes, *messages.shape[1:]))
    return start.scatter_reduce(0, index, messages, "amax", include_self=False)


def _linear(x: Tensor, w: Weights, name: str) -> Tensor:
    return functional.linear(x, w[f"{name}weight"], w.get(f"{name}bias"))


def _of(name: str, weights: Weights) -> Weights:
    return {
        key.removeprefix(f"{name}."): tensor
        for key, tensor in weights.items()
        if key.startswith(f"{name}.")
    }
