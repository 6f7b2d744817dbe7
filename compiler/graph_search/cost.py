"""What a layer stores: bits of its weights, and of the largest set of tensors alive at once.

Widths may be numbers or expected widths, tensors that gradients flow through: only ``+`` and
``*`` are used.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from octavo.compiler.graph_search.layers import LAYER_KINDS, Factors
from octavo.compiler.graph_search.space import Architecture, Block
from octavo.passes.message_passing.components import Role

EIGHT = 8  # bits of vectors that have no choice

Bits = Mapping[Role, Any]


@dataclass(frozen=True)
class LayerSizes:
    """Numbers of one layer.

    Attributes:
        num_nodes: N.
        num_edges: E.
        num_in: Channels that it reads.
        num_out: Channels that it makes.
        heads: Of attention.
    """

    num_nodes: int
    num_edges: int
    num_in: int
    num_out: int
    heads: int


def weight_bits(kind: str, sizes: LayerSizes, bits: Bits) -> Any:
    """Bits of a layer's matrices and vectors of attention; biases have no choice."""
    shapes = LAYER_KINDS[kind].shapes(sizes.num_in, sizes.num_out, sizes.heads)
    matrices = sum(math.prod(shape) for shape in shapes.values() if len(shape) == 2)
    vectors = sum(math.prod(shape) for shape in shapes.values() if len(shape) == 3)
    return matrices * bits[Role.WEIGHTS] + vectors * EIGHT


def shortcut_bits(sizes: LayerSizes, bits: Bits) -> Any:
    """Bits of the matrix of a shortcut."""
    return sizes.num_in * sizes.num_out * bits[Role.WEIGHTS]


def live_bits(kind: str, sizes: LayerSizes, bits: Bits) -> list[Any]:
    """Bits of what is alive while a layer gathers, and while it computes before and behind.

    Args:
        kind: Of ``LAYER_KINDS``.
        sizes: Of the layer.
        bits: Width by role; messages, and what else the kind has.

    Returns:
        One number for each step.
    """
    layer = LAYER_KINDS[kind]
    nodes, role = sizes.num_nodes, layer.input_role
    read = nodes * sizes.num_in * bits[role]
    message_channels = sizes.num_in if layer.gathers_input else sizes.num_out
    messages = layer.num_gathered * nodes * message_channels * bits[Role.MESSAGES]
    factors: Any = 0
    if layer.factors is Factors.GIVEN:
        factors = sizes.num_edges * bits[Role.COEFFICIENTS]
    elif layer.factors is Factors.ATTENTION:
        factors = sizes.num_edges * sizes.heads * bits[Role.COEFFICIENTS]
    summed = (
        nodes * message_channels * bits[Role.AGGREGATED if layer.has_layer_behind else role]
    )
    made = nodes * sizes.num_out * bits[role]
    before = [] if layer.gathers_input else [read + messages]
    behind = [summed + made] if layer.has_layer_behind else []
    return [*before, messages + factors + summed, *behind]


def network_bits(
    architecture: Architecture, num_nodes: int, num_edges: int
) -> tuple[float, float]:
    """Bits of all matrices, and of the largest set that is alive at once."""
    total, largest = 0.0, 0.0
    for block, sizes in layer_sizes(architecture, num_nodes, num_edges):
        total += weight_bits(block.kind, sizes, block.bits)
        total += shortcut_bits(sizes, block.bits) if block.shortcut else 0
        largest = max(largest, *live_bits(block.kind, sizes, block.bits))
    return total, largest


def layer_sizes(
    architecture: Architecture, num_nodes: int, num_edges: int
) -> list[tuple[Block, LayerSizes]]:
    """Every layer with its numbers."""
    rows = zip(architecture.blocks, architecture.channels, architecture.num_heads, strict=True)
    return [
        (block, LayerSizes(num_nodes, num_edges, num_in, num_out, heads))
        for block, (num_in, num_out), heads in rows
    ]
