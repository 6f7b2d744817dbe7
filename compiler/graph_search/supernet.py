"""One network that holds all choices, mixed by weights that gradients move.

Every choice c of a layer is p_c = softmax(theta_c / tau): of kinds and activations the outputs
are mixed, of widths the rounded tensors. Kinds of one layer share its widths.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from octavo.compiler.graph_search.cost import (
    LayerSizes,
    live_bits,
    shortcut_bits,
    weight_bits,
)
from octavo.compiler.graph_search.fake_quantize import fake_quantize, fake_quantize_weight
from octavo.compiler.graph_search.layers import LAYER_KINDS, Shapes
from octavo.compiler.graph_search.space import ROLES, Architecture, Block, GraphSpace
from octavo.compiler.graph_search.start import start_weights
from octavo.compiler.graph_search.torch_operators import TorchOperators
from octavo.passes.message_passing.components import Role

KIND, ACTIVATION, SHORTCUT = "kind", "activation", "shortcut"

Graph = Mapping[str, Tensor]


@dataclass
class Supernet:
    """All networks of a space at once.

    Attributes:
        space: What may be chosen.
        num_features: Channels of x.
        num_classes: Channels of the output.
        mean_degree: Edges over nodes: what sums over neighbours start smaller by.
        seed: Of the first weights.
        weights: By "kind/name" of ``LayerKind.shapes``.
        thetas: Of each choice, by the layer's name and what is chosen.
    """

    space: GraphSpace
    num_features: int
    num_classes: int
    mean_degree: float
    seed: int
    weights: dict[str, Tensor] = field(init=False)
    thetas: dict[tuple[str, str], Tensor] = field(init=False)

    def __post_init__(self) -> None:
        shapes: Shapes = {}
        for layer, name in enumerate(self.names):
            num_in, num_out = self._channels(layer)
            heads = self.space.num_heads(layer)
            for kind in self.space.layers:
                own = LAYER_KINDS[kind].shapes(num_in, num_out, heads)
                shapes |= {f"{kind}/{name}.{key}": shape for key, shape in own.items()}
            if self.space.shortcuts:
                shapes[f"{SHORTCUT}/{name}.shortcut.weight"] = (num_out, num_in)
        self.weights = start_weights(shapes, self.mean_degree, self.seed)
        self.thetas = {
            (name, what): torch.zeros(count, requires_grad=True)
            for layer, name in enumerate(self.names)
            for what, count in self._counts(layer).items()
        }

    @property
    def names(self) -> list[str]:
        """The layers."""
        return [f"layer{k}" for k in range(1, self.space.num_layers + 1)]

    def logits(self, graph: Graph, tau: float) -> Tensor:
        """(N, classes) of the mixture.

        Args:
            graph: x (N, F), edge_index (2, E), edge_weight (E,).
            tau: Temperature; smaller is nearer to one choice.
        """
        x = graph["x"]
        for layer, name in enumerate(self.names):
            x = self._layer(layer, name, graph, x, tau)
        return x

    def size(self, num_nodes: int, num_edges: int, tau: float, buffer_share: float) -> Tensor:
        """Expected bits of weights and of the largest live set, as a part of those of 8 bits.

        Args:
            num_nodes: N.
            num_edges: E.
            tau: Temperature.
            buffer_share: How much a bit of the live set counts, of a weight's.
        """
        total, alive = torch.zeros(()), []
        eight_total, eight_alive = 0.0, 0.0
        eights = dict.fromkeys(ROLES, 8)
        for layer, name in enumerate(self.names):
            num_in, num_out = self._channels(layer)
            heads = self.space.num_heads(layer)
            sizes = LayerSizes(num_nodes, num_edges, num_in, num_out, heads)
            bits = {role: self._expected_bits(name, role, tau) for role in ROLES}
            shares = self._shares(name, KIND, tau)
            rows: list[Tensor] = []
            for share, kind in zip(shares, self.space.layers, strict=True):
                total = total + share * weight_bits(kind, sizes, bits)
                rows.append(share * torch.stack(live_bits(kind, sizes, bits)).max())
                eight = live_bits(kind, sizes, eights)
                eight_alive = max(eight_alive, *eight)
            alive.append(torch.stack(rows).sum())
            eight_total += max(weight_bits(k, sizes, eights) for k in self.space.layers)
            if self.space.shortcuts:
                total = total + self._shares(name, SHORTCUT, tau)[1] * shortcut_bits(
                    sizes, bits
                )
                eight_total += shortcut_bits(sizes, eights)
        largest = torch.stack(alive).max()
        return (total + buffer_share * largest) / (eight_total + buffer_share * eight_alive)

    def chosen(self) -> Architecture:
        """The largest theta of every choice."""
        blocks = []
        for name in self.names:
            kind = self.space.layers[self._best(name, KIND)]
            is_last = name == self.names[-1]
            activation = self.space.activations[0 if is_last else self._best(name, ACTIVATION)]
            bits = {r: self.space.bits(r)[self._best(name, r.value)] for r in ROLES}
            blocks.append(
                Block(
                    kind,
                    "none" if is_last else activation,
                    self.space.shortcuts and bool(self._best(name, SHORTCUT)),
                    bits,
                )
            )
        return Architecture(
            tuple(blocks),
            self.num_features,
            self.num_classes,
            self.space.hidden,
            self.space.heads,
        )

    def chosen_weights(self) -> dict[str, Tensor]:
        """The weights of the chosen kinds, by their names in the network."""
        kept = {}
        for block, name in zip(self.chosen().blocks, self.names, strict=True):
            owners = [block.kind, *([SHORTCUT] if block.shortcut else [])]
            for key, tensor in self.weights.items():
                owner, own = key.split("/", 1)
                if owner in owners and own.startswith(f"{name}."):
                    kept[own] = tensor.detach().clone().requires_grad_()
        return kept

    def _layer(self, layer: int, name: str, graph: Graph, x: Tensor, tau: float) -> Tensor:
        def rounding(role: Role, value: Tensor) -> Tensor:
            quantize = fake_quantize_weight if role is Role.WEIGHTS else fake_quantize
            shares = self._shares(name, role.value, tau)
            widths = self.space.bits(role)
            return sum(
                (p * quantize(value, bits) for p, bits in zip(shares, widths, strict=True)),
                torch.zeros(()),
            )

        mixed: Tensor = torch.zeros(())
        heads, shortcut = self.space.num_heads(layer), self._of(SHORTCUT)
        added = self._shares(name, SHORTCUT, tau)[1]
        for share, name_of_kind in zip(
            self._shares(name, KIND, tau), self.space.layers, strict=True
        ):
            kind = LAYER_KINDS[name_of_kind]
            ops = TorchOperators({**self._of(name_of_kind), **shortcut}, graph, rounding)
            made = kind.formula(ops, x, name, heads)
            if shortcut:
                made = made + added * ops.linear(x, f"{name}.shortcut", kind.input_role)
            mixed = mixed + share * made
        if name == self.names[-1]:
            return mixed
        shares = self._shares(name, ACTIVATION, tau)
        named = zip(shares, self.space.activations, strict=True)
        ops = TorchOperators({}, graph)
        return sum((p * ops.activation(mixed, kind) for p, kind in named), torch.zeros(()))

    def _counts(self, layer: int) -> dict[str, int]:
        space = self.space
        counts = {KIND: len(space.layers), SHORTCUT: 2}
        if layer < space.num_layers - 1:
            counts[ACTIVATION] = len(space.activations)
        return counts | {role.value: len(space.bits(role)) for role in ROLES}

    def _channels(self, layer: int) -> tuple[int, int]:
        return self.space.channels(layer, self.num_features, self.num_classes)

    def _shares(self, name: str, what: str, tau: float) -> Tensor:
        return torch.softmax(self.thetas[name, what] / tau, dim=0)

    def _expected_bits(self, name: str, role: Role, tau: float) -> Tensor:
        widths = torch.tensor(self.space.bits(role), dtype=torch.float32)
        return (self._shares(name, role.value, tau) * widths).sum()

    def _best(self, name: str, what: str) -> int:
        return int(self.thetas[name, what].argmax())

    def _of(self, owner: str) -> dict[str, Tensor]:
        return {
            key.removeprefix(f"{owner}/"): tensor
            for key, tensor in self.weights.items()
            if key.startswith(f"{owner}/")
        }
