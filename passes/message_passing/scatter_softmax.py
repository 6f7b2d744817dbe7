"""Attention over the edges of each node: a softmax made of scatters.

``e = Exp(Sub(s, Gather(ScatterElements<max>(s))))`` and then
``Div(e, Gather(ScatterElements<add>(e)))``, all by one index, with or without a small number
added to the sum or the subtraction of the largest.
"""

from dataclasses import dataclass

import onnx_ir as ir

from octavo.passes.constants import constant_array, scalar_constant
from octavo.passes.message_passing.node_index import NodeIndex, resolve_index
from octavo.passes.message_passing.segments import (
    Aggregation,
    Segments,
    is_reducing_scatter,
    match_segments,
)
from octavo.passes.wiring import int_attribute, is_op, produced_by, static_shape


@dataclass(frozen=True, eq=False)
class ScatterSoftmax:
    """exp(score) over the sum of it at the same node.

    Attributes:
        nodes: All of them, the one that makes the coefficients last.
        scores: (..., edges, ...).
        coefficients: Of the same shape, at least 0, at most 1 in sum at a node.
        added: Number added to every sum, or 0.
    """

    nodes: tuple[ir.Node, ...]
    scores: ir.Value
    coefficients: ir.Value
    added: float


def match_scatter_softmax(node: ir.Node, axis: int, index: NodeIndex) -> ScatterSoftmax | None:
    """The softmax whose last node is ``node``, or None.

    Args:
        node: A Div.
        axis: Where edges are in its output, counted from 0.
        index: The index that has to be the one of the sums.
    """
    if not is_op(node, "Div"):
        return None
    powers = _through_slice(node.inputs[0])
    exponential = produced_by(powers[0], "Exp")
    sums = _at_edges(node.inputs[1], axis, index)
    if exponential is None or sums is None:
        return None
    gather, value = sums
    plus = produced_by(value, "Add")
    added = 0.0
    between = [gather]
    if plus is not None:
        number = scalar_constant(plus.inputs[1])
        # Larger ones make something else than a softmax.
        if number is None or not 0.0 < number < 1e-3:
            return None
        added, value = number, plus.inputs[0]
        between.insert(0, plus)
    total = _segments_of(value, Aggregation.ADD, axis, index)
    if total is None or total.fill != 0.0:
        return None
    summed = _through_slice(total.values)
    if summed[0] is not exponential.outputs[0]:
        return None
    scores, shifting = _shifted(exponential.inputs[0], axis, index)
    if scores is None:
        return None
    nodes = (*shifting, exponential, *powers[1], *summed[1], *total.nodes, *between, node)
    unique = tuple(dict.fromkeys(nodes))
    return ScatterSoftmax(unique, scores, node.outputs[0], added)


def _shifted(
    value: ir.Value | None, axis: int, index: NodeIndex
) -> tuple[ir.Value | None, tuple[ir.Node, ...]]:
    """The scores, and the nodes that subtract the largest score of each node from them."""
    subtract = produced_by(value, "Sub")
    if subtract is None:
        return value, ()
    largest = _at_edges(subtract.inputs[1], axis, index)
    if largest is None:
        return value, ()
    gather, maximum = largest
    segments = _segments_of(maximum, Aggregation.MAX, axis, index)
    scores = subtract.inputs[0]
    if segments is None or scores is None or _through_slice(segments.values)[0] is not scores:
        return None, ()
    slices = _through_slice(segments.values)[1]
    return scores, (*slices, *segments.nodes, gather, subtract)


def _at_edges(
    value: ir.Value | None, axis: int, index: NodeIndex
) -> tuple[ir.Node, ir.Value | None] | None:
    """The Gather by ``index`` that makes a value, and what it gathers."""
    node = produced_by(value, "Gather", "GatherND", "GatherElements")
    shape = static_shape(node.inputs[1]) if node is not None else None
    if node is None or shape is None:
        return None
    place = axis
    if is_op(node, "GatherND"):
        if axis or len(shape) != 2 or int_attribute(node, "batch_dims", 0):
            return None
    else:
        rank = len(static_shape(node.inputs[0]) or ())
        if not rank or int_attribute(node, "axis", 0) % rank != axis:
            return None
        place = axis if is_op(node, "GatherElements") else 0
    found = resolve_index(node.inputs[1], place)
    return (node, node.inputs[0]) if found is not None and found.same_as(index) else None


def _segments_of(
    value: ir.Value | None, aggregation: Aggregation, axis: int, index: NodeIndex
) -> Segments | None:
    node = produced_by(value, "ScatterElements", "ScatterND")
    if node is None or not is_reducing_scatter(node):
        return None
    found = match_segments(node)
    if isinstance(found, str) or found.aggregation is not aggregation or found.axis != axis:
        return None
    return found if found.index.same_as(index) else None


def _through_slice(value: ir.Value | None) -> tuple[ir.Value | None, list[ir.Node]]:
    """What a Slice takes all of, and that Slice: exporters put it in front of scatters."""
    node = produced_by(value, "Slice")
    if node is None or static_shape(node.inputs[0]) != static_shape(node.outputs[0]):
        return value, []
    starts = constant_array(node.inputs[1])
    if starts is None or starts.any():
        return value, []
    return node.inputs[0], [node]
