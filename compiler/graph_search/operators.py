"""What layers of graph networks are made of; PyTorch computes it, ONNX writes it down.

Formulas of layers are written once, against this interface, so that what is trained and what
is exported are the same.
"""

from typing import Protocol, TypeVar

from octavo.passes.message_passing.components import Role

T = TypeVar("T")


class GraphOperators(Protocol[T]):
    """Operators on one graph of N nodes and E edges; an edge carries from source to target."""

    def linear(self, x: T, name: str, site: Role = Role.FEATURES) -> T:
        """(N, C_out): x W' + b, without b where there is no such weight.

        Args:
            x: (N, C_in).
            name: Of the layer: its weights are "name.weight" and "name.bias".
            site: What x is to the network.
        """

    def messages(self, x: T) -> T:
        """(N, ...): what edges gather, rounded as messages are."""

    def coefficients(self, x: T) -> T:
        """(E, H): factors of messages, rounded as coefficients are."""

    def edge_weight(self) -> T:
        """(E, 1): the given number of each edge."""

    def source(self, x: T) -> T:
        """(E, ...): rows of x (N, ...) at the edges' sources."""

    def target(self, x: T) -> T:
        """(E, ...): rows of x (N, ...) at the edges' targets."""

    def weigh(self, coefficients: T, messages: T) -> T:
        """(E, H, C): messages (E, H, C) times (E, H); or (E, C) times (E, 1)."""

    def sum(self, messages: T) -> T:
        """(N, ...): messages (E, ...) summed at their targets."""

    def mean(self, messages: T) -> T:
        """(N, C): their mean, 0 where no edge ends."""

    def max(self, messages: T) -> T:
        """(N, C): their maximum, 0 where no edge ends."""

    def softmax(self, scores: T) -> T:
        """(E, H): the softmax of scores (E, H) among the edges into one node."""

    def heads(self, x: T, num_heads: int) -> T:
        """(N, H, C / H): channels split evenly."""

    def join(self, x: T) -> T:
        """(N, H C): the heads of x (N, H, C) side by side."""

    def dot(self, x: T, name: str) -> T:
        """(..., H): of x (..., H, C) and the vector of each head, "name" (1, H, C)."""

    def add(self, a: T, b: T) -> T:
        """A + b of equal shapes."""

    def biased(self, x: T, name: str) -> T:
        """X + "name" (C,)."""

    def scaled(self, x: T, name: str) -> T:
        """X times "name" (1,)."""

    def activation(self, x: T, kind: str) -> T:
        """f(x), f one of ``ACTIVATIONS`` or "none"."""


ACTIVATIONS = ("relu", "leaky_relu", "elu", "tanh")
NEGATIVE_SLOPE = 0.2  # of leaky_relu, GAT's
