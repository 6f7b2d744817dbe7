"""What may be chosen, and one choice of all of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from octavo.compiler.graph_search.layers import LAYER_KINDS, Factors, Shapes
from octavo.compiler.graph_search.operators import ACTIVATIONS
from octavo.errors import RecipeError
from octavo.passes.layer_format import WIDTHS
from octavo.passes.message_passing.components import Role

ROLES = (Role.WEIGHTS, Role.FEATURES, Role.MESSAGES, Role.COEFFICIENTS, Role.AGGREGATED)
MAX_BITS = 16  # of what has integers


@dataclass(frozen=True)
class GraphSpace:
    """The choices of every layer.

    Attributes:
        layers: Names of ``LAYER_KINDS``.
        activations: Names of ``ACTIVATIONS``, behind every layer but the last.
        shortcuts: Whether a linear layer past the message passing may be added.
        num_layers: How many layers, 1 or more.
        hidden: Channels between them; a multiple of ``heads``.
        heads: Of attention; the last layer has one.
        weight_bits: Widths of weights and coefficients.
        activation_bits: Widths of features, messages and what nodes have aggregated.

    Raises:
        RecipeError: A name or a number is not allowed.
    """

    layers: tuple[str, ...] = ("gcn", "gat", "sage_mean", "sage_max", "gin", "sir_gcn")
    activations: tuple[str, ...] = ACTIVATIONS
    shortcuts: bool = True
    num_layers: int = 2
    hidden: int = 16
    heads: int = 4
    weight_bits: tuple[int, ...] = (8, 4, 2)
    activation_bits: tuple[int, ...] = (8, 4, 2)

    def __post_init__(self) -> None:
        widths = tuple(w for w in WIDTHS if w <= MAX_BITS)
        for what, chosen, allowed in (
            ("layers", self.layers, tuple(LAYER_KINDS)),
            ("activations", self.activations, ACTIVATIONS),
            ("weight bits", self.weight_bits, widths),
            ("activation bits", self.activation_bits, widths),
        ):
            _check(what, chosen, allowed)
        if self.num_layers < 1 or self.heads < 1 or self.hidden % self.heads:
            raise RecipeError(
                f"{self.num_layers} layers of {self.hidden} channels with {self.heads} heads;"
                " allowed: one layer or more, channels that are a multiple of the heads"
            )

    def bits(self, role: Role) -> tuple[int, ...]:
        """Widths that a component may have."""
        return self.weight_bits if role.is_weight else self.activation_bits

    def num_heads(self, layer: int) -> int:
        """Heads of attention in a layer, counted from 0."""
        return 1 if layer == self.num_layers - 1 else self.heads

    def channels(self, layer: int, num_features: int, num_classes: int) -> tuple[int, int]:
        """Channels into and out of a layer, counted from 0."""
        first, last = layer == 0, layer == self.num_layers - 1
        return num_features if first else self.hidden, num_classes if last else self.hidden


@dataclass(frozen=True)
class Block:
    """What one layer is.

    Attributes:
        kind: Of ``LAYER_KINDS``.
        activation: Behind it; "none" behind the last layer.
        shortcut: Whether x W' is added.
        bits: Width by role; of those that the kind has.
    """

    kind: str
    activation: str
    shortcut: bool
    bits: Mapping[Role, int]

    @property
    def roles(self) -> tuple[Role, ...]:
        """The components that it has."""
        return LAYER_KINDS[self.kind].roles

    def __str__(self) -> str:
        added = "+shortcut" if self.shortcut else ""
        widths = " ".join(f"{role.value}:{self.bits[role]}" for role in self.roles)
        behind = "" if self.activation == "none" else f" {self.activation}"
        return f"{self.kind}{added}{behind} ({widths})"


@dataclass(frozen=True)
class Architecture:
    """A network.

    Attributes:
        blocks: Its layers.
        num_features: Channels of x.
        num_classes: Channels of the output.
        hidden: Channels between layers.
        heads: Of attention, in all layers but the last.
    """

    blocks: tuple[Block, ...]
    num_features: int
    num_classes: int
    hidden: int
    heads: int

    @property
    def num_heads(self) -> tuple[int, ...]:
        """Heads of each layer."""
        return (*[self.heads] * (len(self.blocks) - 1), 1)

    @property
    def channels(self) -> tuple[tuple[int, int], ...]:
        """Channels into and out of each layer."""
        between = [self.hidden] * (len(self.blocks) - 1)
        ends = zip([self.num_features, *between], [*between, self.num_classes], strict=True)
        return tuple(ends)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each layer: "layer1" first."""
        return tuple(f"layer{k}" for k in range(1, len(self.blocks) + 1))

    @property
    def reads_edge_weight(self) -> bool:
        """Whether a layer wants a number of each edge."""
        return any(LAYER_KINDS[b.kind].factors is Factors.GIVEN for b in self.blocks)

    def shapes(self) -> Shapes:
        """Shape of every weight by its name, "layer1.lin.weight"."""
        shapes: Shapes = {}
        rows = zip(self.blocks, self.names, self.channels, self.num_heads, strict=True)
        for block, name, (num_in, num_out), heads in rows:
            own = LAYER_KINDS[block.kind].shapes(num_in, num_out, heads)
            shapes |= {f"{name}.{key}": shape for key, shape in own.items()}
            if block.shortcut:
                shapes[f"{name}.shortcut.weight"] = (num_out, num_in)
        return shapes


def _check(what: str, chosen: tuple[object, ...], allowed: tuple[object, ...]) -> None:
    unknown = [item for item in chosen if item not in allowed]
    if unknown or not chosen or len(set(chosen)) != len(chosen):
        listed = ", ".join(map(str, allowed))
        shown = ", ".join(map(str, chosen)) or "none"
        raise RecipeError(f"{what} {shown}; allowed: one or more, once each, of {listed}")
