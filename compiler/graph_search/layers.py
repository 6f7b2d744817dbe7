"""The kinds of layers: weights and formula of each, and what it stores.

Weights bear the names of PyTorch Geometric's modules.

Source: Kipf and Welling, arXiv:1609.02907 (gcn); Hamilton et al., arXiv:1706.02216 (sage); Xu
et al., arXiv:1810.00826 (gin); Velickovic et al., arXiv:1710.10903 (gat); Brody et al.,
arXiv:2105.14491 (gatv2); Lim et al., Contextualized Messages Boost Graph Representations,
2024 (sir_gcn).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from octavo.compiler.graph_search.operators import GraphOperators, T
from octavo.passes.message_passing.components import Role

Shapes = dict[str, tuple[int, ...]]


class Factors(Enum):
    """What messages are multiplied by."""

    NONE = "none"
    GIVEN = "given"  # a number of each edge, an input
    ATTENTION = "attention"  # computed, one of each head


@dataclass(frozen=True)
class LayerKind:
    """A kind of layer.

    Attributes:
        shapes: Of the weights, from channels in, channels out and heads.
        formula: From operators, x (N, C_in), the layer's name and its heads: (N, C_out).
        factors: Of the messages.
        gathers_input: Messages are rows of what the layer reads, not of a linear layer; so
            what else reads it reads messages.
        reads_features: A linear layer reads what nobody gathers.
        num_gathered: Tensors that messages are made of.
        has_layer_behind: A linear layer reads what nodes have aggregated.
    """

    shapes: Callable[[int, int, int], Shapes]
    formula: Callable[[GraphOperators[Any], Any, str, int], Any]
    factors: Factors = Factors.NONE
    gathers_input: bool = False
    reads_features: bool = True
    num_gathered: int = 1
    has_layer_behind: bool = False

    @property
    def input_role(self) -> Role:
        """What the layer's input is."""
        return Role.MESSAGES if self.gathers_input else Role.FEATURES

    @property
    def roles(self) -> tuple[Role, ...]:
        """The components that it has."""
        found = [Role.WEIGHTS, Role.MESSAGES]
        if self.reads_features:
            found.append(Role.FEATURES)
        if self.factors is not Factors.NONE:
            found.append(Role.COEFFICIENTS)
        if self.has_layer_behind:
            found.append(Role.AGGREGATED)
        return tuple(found)


def _gcn(ops: GraphOperators[T], x: T, name: str, num_heads: int) -> T:
    rows = ops.source(ops.messages(ops.linear(x, f"{name}.lin")))
    total = ops.sum(ops.weigh(ops.coefficients(ops.edge_weight()), rows))
    return ops.biased(total, f"{name}.bias")


def _gcn_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    return {"lin.weight": (num_out, num_in), "bias": (num_out,)}


def _sage(ops: GraphOperators[T], x: T, pooled: T, name: str) -> T:
    behind = ops.linear(pooled, f"{name}.lin_l", Role.AGGREGATED)
    return ops.add(behind, ops.linear(x, f"{name}.lin_r", Role.MESSAGES))


def _sage_mean(ops: GraphOperators[T], x: T, name: str, num_heads: int) -> T:
    rows = ops.messages(x)
    return _sage(ops, rows, ops.mean(ops.source(rows)), name)


def _sage_max(ops: GraphOperators[T], x: T, name: str, num_heads: int) -> T:
    rows = ops.messages(x)
    return _sage(ops, rows, ops.max(ops.source(rows)), name)


def _sage_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    wide = (num_out, num_in)
    return {"lin_l.weight": wide, "lin_l.bias": (num_out,), "lin_r.weight": wide}


def _gin(ops: GraphOperators[T], x: T, name: str, num_heads: int) -> T:
    rows = ops.messages(x)
    y = ops.add(ops.sum(ops.source(rows)), ops.scaled(rows, f"{name}.scale"))
    y = ops.activation(ops.linear(y, f"{name}.nn.0", Role.AGGREGATED), "relu")
    return ops.linear(y, f"{name}.nn.2")


def _gin_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    return {
        "scale": (1,),
        "nn.0.weight": (num_out, num_in),
        "nn.0.bias": (num_out,),
        "nn.2.weight": (num_out, num_out),
        "nn.2.bias": (num_out,),
    }


def _gat(ops: GraphOperators[T], x: T, name: str, num_heads: int) -> T:
    y = ops.heads(ops.messages(ops.linear(x, f"{name}.lin")), num_heads)
    ends = ops.source(ops.dot(y, f"{name}.att_src")), ops.target(ops.dot(y, f"{name}.att_dst"))
    scores = ops.activation(ops.add(*ends), "leaky_relu")
    return _attended(ops, scores, ops.source(y), name)


def _gat_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    head = (1, num_heads, num_out // num_heads)
    return {
        "lin.weight": (num_out, num_in),
        "att_src": head,
        "att_dst": head,
        "bias": (num_out,),
    }


def _gatv2(ops: GraphOperators[T], x: T, name: str, num_heads: int) -> T:
    left, right = (
        ops.heads(ops.messages(ops.linear(x, f"{name}.{end}")), num_heads)
        for end in ("lin_l", "lin_r")
    )
    rows = ops.source(left)
    mixed = ops.activation(ops.add(ops.target(right), rows), "leaky_relu")
    return _attended(ops, ops.dot(mixed, f"{name}.att"), rows, name)


def _gatv2_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    wide, bias = (num_out, num_in), (num_out,)
    return {
        "lin_l.weight": wide,
        "lin_l.bias": bias,
        "lin_r.weight": wide,
        "lin_r.bias": bias,
        "att": (1, num_heads, num_out // num_heads),
        "bias": bias,
    }


def _attended(ops: GraphOperators[T], scores: T, rows: T, name: str) -> T:
    factors = ops.coefficients(ops.softmax(scores))
    return ops.biased(ops.join(ops.sum(ops.weigh(factors, rows))), f"{name}.bias")


def _sir_gcn(ops: GraphOperators[T], x: T, name: str, num_heads: int) -> T:
    here, there = (ops.messages(ops.linear(x, f"{name}.{end}")) for end in ("q", "k"))
    mixed = ops.activation(ops.add(ops.target(here), ops.source(there)), "relu")
    return ops.linear(ops.sum(mixed), f"{name}.r", Role.AGGREGATED)


def _sir_gcn_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    return {
        "q.weight": (num_out, num_in),
        "q.bias": (num_out,),
        "k.weight": (num_out, num_in),
        "r.weight": (num_out, num_out),
    }


LAYER_KINDS = {
    "gcn": LayerKind(_gcn_shapes, _gcn, Factors.GIVEN),
    "gat": LayerKind(_gat_shapes, _gat, Factors.ATTENTION),
    "gatv2": LayerKind(_gatv2_shapes, _gatv2, Factors.ATTENTION, num_gathered=2),
    "sage_mean": LayerKind(
        _sage_shapes,
        _sage_mean,
        gathers_input=True,
        reads_features=False,
        has_layer_behind=True,
    ),
    "sage_max": LayerKind(
        _sage_shapes,
        _sage_max,
        gathers_input=True,
        reads_features=False,
        has_layer_behind=True,
    ),
    "gin": LayerKind(_gin_shapes, _gin, gathers_input=True, has_layer_behind=True),
    "sir_gcn": LayerKind(_sir_gcn_shapes, _sir_gcn, num_gathered=2, has_layer_behind=True),
}
