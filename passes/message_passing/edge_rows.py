"""Messages that are rows of nodes: as they are, times a coefficient, or two of them added."""

import math
from dataclasses import dataclass

import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.message_passing.edge_trace import match_gather
from octavo.passes.message_passing.node_index import NodeIndex
from octavo.passes.wiring import ints_attribute, is_op, produced_by, static_shape

# They leave the numbers of every edge where they are, and in their order.
_MOVES = ("Identity", "Reshape", "Squeeze", "Unsqueeze")


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of nodes at edges.

    Attributes:
        features: (nodes, ...).
        nodes: The Gather, and what is between.
    """

    features: ir.Value
    nodes: tuple[ir.Node, ...]


@dataclass(frozen=True, eq=False)
class Weighted:
    """Rows of nodes times numbers of edges.

    Attributes:
        features: (nodes, ...).
        value: (edges, ...), ``heads`` numbers for each edge.
        heads: Channels are split evenly among them, in order.
        nodes: Product and Gather, and what is between.
    """

    features: ir.Value
    value: ir.Value
    heads: int
    nodes: tuple[ir.Node, ...]


def through_moves(value: ir.Value, num_edges: int) -> tuple[ir.Value, tuple[ir.Node, ...]]:
    """What a value was before it was given another shape, edges first all the way.

    Args:
        value: (edges, ...).
        num_edges: How many.
    """
    passed: list[ir.Node] = []
    while True:
        node = value.producer()
        before = node.inputs[0] if node is not None and node.inputs else None
        shape = static_shape(before)
        if node is None or before is None or not shape or shape[0] != num_edges:
            return value, tuple(passed)
        if not is_op(node, *_MOVES) and not _takes_all(node):
            return value, tuple(passed)
        passed.append(node)
        value = before


def gathered_rows(value: ir.Value, index: NodeIndex | None) -> Rows | None:
    """Rows that ``index`` takes of features whose first axis is nodes, or None.

    Args:
        value: (edges, ...).
        index: Node of each edge; None where nothing is gathered.
    """
    if index is None:
        return None
    value, passed = through_moves(value, index.length)
    found = match_gather(value.producer(), 0)
    if found is None or found.axis != 0 or not found.index.same_as(index):
        return None
    if found.features.dtype != ir.DataType.FLOAT:
        return None
    if found.index.origin.dtype not in (ir.DataType.INT32, ir.DataType.INT64):
        return None
    return Rows(found.features, (*passed, found.node))


def weighted_rows(value: ir.Value, index: NodeIndex | None) -> Weighted | None:
    """Rows times one number for each edge, or for each head of it; else None.

    Args:
        value: (edges, ...).
        index: Node of each edge; None where nothing is gathered.
    """
    perm, turned = _turned(value)
    product = produced_by(turned, "Mul")
    shape = static_shape(turned)
    if product is None or shape is None:
        return None
    outer = () if perm is None else (value.producer(),)
    for features, factor in (product.inputs, reversed(product.inputs)):
        if features is None or factor is None or static_shape(features) != shape:
            continue
        back, before = _turned(features) if perm is not None else (None, features)
        if perm is not None and (back is None or [back[a] for a in perm] != sorted(back)):
            continue
        inner = () if back is None else (features.producer(),)
        rows = gathered_rows(before, index)
        found = _factors(factor, shape, perm or tuple(range(len(shape))))
        if rows is not None and found is not None:
            numbers, heads, passed = found
            nodes = (*outer, product, *inner, *rows.nodes, *passed)
            kept = tuple(node for node in nodes if node is not None)
            return Weighted(rows.features, numbers, heads, kept)
    return None


def pair_of_rows(
    value: ir.Value, sources: NodeIndex | None, targets: NodeIndex
) -> tuple[Rows, Rows, tuple[ir.Node, ...]] | None:
    """``[Relu](a[target] + b[source])`` as a, b and the nodes, or None.

    Args:
        value: (edges, ...).
        sources: Where each edge starts.
        targets: Where each edge ends.
    """
    between: list[ir.Node] = []
    relu = produced_by(value, "Relu")
    if relu is not None and relu.inputs[0] is not None:
        value, passed = through_moves(relu.inputs[0], targets.length)
        between = [relu, *passed]
    addition = produced_by(value, "Add")
    if addition is None:
        return None
    for one, other in (addition.inputs, reversed(addition.inputs)):
        if one is None or other is None or static_shape(one) != static_shape(other):
            return None
        target, source = gathered_rows(one, targets), gathered_rows(other, sources)
        if target is not None and source is not None:
            return target, source, (*between, addition, *target.nodes, *source.nodes)
    return None


def _turned(value: ir.Value) -> tuple[tuple[int, ...] | None, ir.Value]:
    """The permutation of a Transpose that makes a value, None without, and what it reads.

    Batches of features in front of the nodes are moved behind them and back.
    """
    node, shape = produced_by(value, "Transpose"), static_shape(value)
    if node is None or shape is None or node.inputs[0] is None:
        return None, value
    perm = ints_attribute(node, "perm") or tuple(range(len(shape)))[::-1]
    return perm, node.inputs[0]


def _factors(
    value: ir.Value, shape: tuple[int, ...], perm: tuple[int, ...]
) -> tuple[ir.Value, int, tuple[ir.Node, ...]] | None:
    """What multiplies messages of a shape, how many numbers of each edge, and what repeats.

    ``perm`` says which axes of the shape are edges, then features.
    """
    passed: list[ir.Node] = []
    repeats = produced_by(value, "Expand")
    while repeats is not None and repeats.inputs[0] is not None:
        passed.append(repeats)
        value = repeats.inputs[0]
        repeats = produced_by(value, "Expand")
    own = static_shape(value)
    if own is None or len(own) > len(shape) or value.dtype != ir.DataType.FLOAT:
        return None
    aligned = (1,) * (len(shape) - len(own)) + own
    aligned, shape = (tuple(sizes[axis] for axis in perm) for sizes in (aligned, shape))
    kept = next((i for i in range(1, len(shape) + 1) if math.prod(aligned[i:]) == 1), 0)
    if aligned[:kept] != shape[:kept]:
        return None
    heads = math.prod(shape[1:kept])
    if heads == math.prod(shape[1:]) > 1:
        return None  # a gate of every number, rather than a weight of edges
    if heads > 1 and perm != tuple(range(len(shape))):
        return None
    value, moves = through_moves(value, shape[0])
    return value, heads, (*passed, *moves)


def _takes_all(node: ir.Node) -> bool:
    """A Slice of everything, as exporters put it in front of scatters."""
    if not is_op(node, "Slice"):
        return False
    whole, starts = static_shape(node.inputs[0]), constant_array(node.inputs[1])
    # Backwards it would start at the end.
    forward = starts is not None and not starts.any()
    return forward and whole is not None and whole == static_shape(node.outputs[0])
