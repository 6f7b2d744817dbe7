"""Operators that compute in PyTorch, with rounding where a component is."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from octavo.compiler.graph_search.operators import NEGATIVE_SLOPE
from octavo.passes.message_passing.components import Role

Round = Callable[[Role, Tensor], Tensor]


def no_rounding(role: Role, x: Tensor) -> Tensor:
    """The float network."""
    return x


class TorchOperators:
    """Computes on one graph; ``GraphOperators`` says what each operator is."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        graph: Mapping[str, Tensor],
        rounding: Round = no_rounding,
    ) -> None:
        """Compute with weights on a graph.

        Args:
            weights: By name.
            graph: x (N, F), edge_index (2, E), edge_weight (E,).
            rounding: What becomes of a weight or a tensor of a component.
        """
        self._weights, self._graph, self._rounding = weights, graph, rounding
        self._num_nodes = len(graph["x"])
        self._rounded: dict[tuple[Role, int], tuple[Tensor, Tensor]] = {}

    def linear(self, x: Tensor, name: str, site: Role = Role.FEATURES) -> Tensor:
        weight = self._rounding(Role.WEIGHTS, self._weights[f"{name}.weight"])
        bias = self._weights.get(f"{name}.bias")
        return functional.linear(self._round(site, x), weight, bias)

    def messages(self, x: Tensor) -> Tensor:
        return self._round(Role.MESSAGES, x)

    def coefficients(self, x: Tensor) -> Tensor:
        return self._round(Role.COEFFICIENTS, x)

    def edge_weight(self) -> Tensor:
        return self._graph["edge_weight"][:, None]

    def source(self, x: Tensor) -> Tensor:
        return x[self._graph["edge_index"][0]]

    def target(self, x: Tensor) -> Tensor:
        return x[self._targets]

    def weigh(self, coefficients: Tensor, messages: Tensor) -> Tensor:
        return (coefficients[:, :, None] if messages.dim() > 2 else coefficients) * messages

    def sum(self, messages: Tensor) -> Tensor:
        total = messages.new_zeros((self._num_nodes, *messages.shape[1:]))
        return total.index_add(0, self._targets, messages)

    def mean(self, messages: Tensor) -> Tensor:
        count = torch.bincount(self._targets, minlength=self._num_nodes).clamp(min=1)
        return self.sum(messages) / count[:, None]

    def max(self, messages: Tensor) -> Tensor:
        index = self._targets.reshape(-1, *[1] * (messages.dim() - 1)).expand_as(messages)
        start = messages.new_zeros((self._num_nodes, *messages.shape[1:]))
        return start.scatter_reduce(0, index, messages, "amax", include_self=False)

    def softmax(self, scores: Tensor) -> Tensor:
        exps = torch.exp(scores - self.target(self.max(scores.detach())))
        return exps / self.target(self.sum(exps))

    def heads(self, x: Tensor, num_heads: int) -> Tensor:
        return x.reshape(len(x), num_heads, -1)

    def join(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def dot(self, x: Tensor, name: str) -> Tensor:
        return (x * self._weights[name]).sum(dim=-1)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def biased(self, x: Tensor, name: str) -> Tensor:
        return x + self._weights[name]

    def scaled(self, x: Tensor, name: str) -> Tensor:
        return x * self._weights[name]

    def activation(self, x: Tensor, kind: str) -> Tensor:
        match kind:
            case "relu":
                return torch.relu(x)
            case "leaky_relu":
                return functional.leaky_relu(x, NEGATIVE_SLOPE)
            case "elu":
                return functional.elu(x)
            case "tanh":
                return torch.tanh(x)
        return x

    @property
    def _targets(self) -> Tensor:
        return self._graph["edge_index"][1]

    def _round(self, role: Role, x: Tensor) -> Tensor:
        """Each tensor is rounded once, whoever reads it; what is rounded is not again."""
        key = (role, id(x))
        if key not in self._rounded:
            rounded = self._rounding(role, x)
            # Both are kept: an id is that of one tensor only while it lives.
            self._rounded[key] = (x, rounded)
            self._rounded[role, id(rounded)] = (rounded, rounded)
        return self._rounded[key][1]
