"""Messages traced back to the nodes that they come from.

Every operator between a Gather by node number and the scatter has to work on each edge alone:
then one edge's message depends on its two ends and its own attributes only.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field

import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.message_passing.axes import Shared, axis_of_input
from octavo.passes.message_passing.linear_weights import is_stored
from octavo.passes.message_passing.node_index import NodeIndex, resolve_index
from octavo.passes.message_passing.scatter_softmax import ScatterSoftmax, match_scatter_softmax
from octavo.passes.message_passing.segments import is_reducing_scatter
from octavo.passes.message_passing.uniform import uniform_number
from octavo.passes.wiring import int_attribute, is_op, static_shape


@dataclass(frozen=True, eq=False)
class Gathered:
    """Features of nodes brought to edges.

    Attributes:
        node: Gather, GatherND or GatherElements.
        features: (..., nodes, ...).
        index: The node of each edge.
        axis: Where nodes are in ``features``, counted from 0.
    """

    node: ir.Node
    features: ir.Value
    index: NodeIndex
    axis: int


@dataclass(eq=False)
class EdgeTrace:
    """What one edge's message is computed from.

    Attributes:
        nodes: Between what is gathered and the message, Gathers included.
        gathered: Features of nodes, in the order met.
        attributes: Of edges: inputs, constants, and what other regions read as well.
        shared: Computed values that are the same for every edge.
        softmaxes: Attention coefficients met.
        problem: Why the trace broke off, or None.
    """

    nodes: set[ir.Node] = field(default_factory=set)
    gathered: dict[ir.Node, Gathered] = field(default_factory=dict)
    attributes: dict[ir.Value, int] = field(default_factory=dict)
    shared: dict[ir.Value, None] = field(default_factory=dict)
    softmaxes: list[ScatterSoftmax] = field(default_factory=list)
    problem: str | None = None


def match_gather(node: ir.Node | None, axis: int) -> Gathered | None:
    """The Gather by node number whose output has edges along ``axis``, or None."""
    if node is None or not is_op(node, *GATHERS) or node.inputs[0] is None:
        return None
    features, place = node.inputs[0], axis
    shape, index_shape = static_shape(features), static_shape(node.inputs[1])
    if not shape or index_shape is None:
        return None
    if is_op(node, "GatherND"):
        depth_one = len(index_shape) == 2 and index_shape[1] == 1
        if not depth_one or axis != 0 or int_attribute(node, "batch_dims", 0):
            return None
    else:
        place = int_attribute(node, "axis", 0) % len(shape)
        inside = place <= axis < place + len(index_shape)
        if is_op(node, "GatherElements"):
            inside = place == axis
        if not inside:
            return None
    within = axis - place if is_op(node, "Gather") else axis
    index = resolve_index(node.inputs[1], within)
    # With more than one index of an edge there is more than one node of an edge.
    if index is None or (is_op(node, "Gather") and index.length != math.prod(index_shape)):
        return None
    return Gathered(node, features, index, place)


GATHERS = ("Gather", "GatherElements", "GatherND")


def trace_edges(
    value: ir.Value, axis: int, target: NodeIndex, stops: Collection[ir.Node] = ()
) -> EdgeTrace:
    """Trace what is scattered back to node features and edge attributes.

    Args:
        value: (..., edges, ...).
        axis: Where edges are in it, counted from 0.
        target: The index that it is scattered by: attention is normalized by the same.
        stops: Nodes whose outputs count as attributes.

    Returns:
        The trace; its ``problem`` says which operator mixes edges.
    """
    trace, seen = EdgeTrace(), set[ir.Value]()
    pending = [(value, axis)]
    while pending:
        value, axis = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        node = value.producer()
        gathered = match_gather(node, axis)
        if gathered is not None:
            trace.gathered[gathered.node] = gathered
            if gathered.node not in stops:
                trace.nodes.add(gathered.node)
        elif node is None or node in stops or _is_constant(value):
            trace.attributes[value] = axis
        else:
            pending += _behind(node, value, axis, target, trace, stops)
    return trace


def _behind(
    node: ir.Node,
    value: ir.Value,
    axis: int,
    target: NodeIndex,
    trace: EdgeTrace,
    stops: Collection[ir.Node],
) -> list[tuple[ir.Value, int]]:
    softmax = match_scatter_softmax(node, axis, target)
    if softmax is not None and not any(member in stops for member in softmax.nodes):
        trace.nodes.update(softmax.nodes)
        trace.softmaxes.append(softmax)
        return [(softmax.scores, axis)]
    found, shared = [], dict[ir.Value, None]()
    for position, operand in enumerate(node.inputs):
        if operand is None:
            continue
        before = axis_of_input(node, position, axis)
        if before is None:
            trace.problem = (
                trace.problem
                or f"{node.op_type} '{node.name}' does not work on each edge alone"
            )
            return []
        if not isinstance(before, Shared):
            found.append((operand, before))
        elif not is_stored(operand):
            shared[operand] = None
    if not found:
        trace.attributes[value] = axis
        return []
    trace.nodes.add(node)
    trace.shared.update(shared)
    return found


def _is_constant(value: ir.Value) -> bool:
    return constant_array(value) is not None or uniform_number(value) is not None


def reads_by(value: ir.Value, target: NodeIndex) -> bool:
    """Whether a value is made of nodes gathered by the other end of ``target``'s edges.

    Args:
        value: Not understood as made edge by edge.
        target: A row of an index matrix, or a constant.
    """
    pending, seen = [value], set[ir.Value]()
    while pending:
        value = pending.pop()
        node = value.producer()
        if value in seen or node is None or is_reducing_scatter(node):
            continue
        seen.add(value)
        if is_op(node, *GATHERS):
            shape = static_shape(node.outputs[0]) or ()
            ends = (match_gather(node, axis) for axis in range(len(shape)))
            if any(end is not None and _are_ends(end.index, target) for end in ends):
                return True
        pending += [operand for operand in node.inputs if operand is not None]
    return False


def _are_ends(one: NodeIndex, other: NodeIndex) -> bool:
    same_matrix = one.origin is other.origin and one.row is not None
    constants = one.numbers() is not None and other.numbers() is not None
    return one.length == other.length and (same_matrix or constants)
