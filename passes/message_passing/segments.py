"""Sums, products and extremes over the edges of each node: one scatter with a reduction.

``ScatterElements|ScatterND(base, index, values), reduction = add | mul | max | min`` where the
base is one number everywhere. Exporters write "nodes without edges keep the base, the others
forget it" as a scatter in front that sets the rows of the index to the extreme that every
value replaces; it belongs to the segments.
"""

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.message_passing.node_index import NodeIndex, resolve_index
from octavo.passes.message_passing.uniform import uniform_number
from octavo.passes.wiring import (
    int_attribute,
    is_float,
    is_op,
    only_consumer,
    produced_by,
    static_shape,
    string_attribute,
)


class Aggregation(Enum):
    """What becomes of the messages that a node receives."""

    ADD = "add"
    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    MUL = "mul"


@dataclass(frozen=True, eq=False)
class Segments:
    """Values of edges brought together at nodes.

    Attributes:
        nodes: The scatter, and what prepares its base for it alone; in graph order.
        base_nodes: What prepares the base, for others as well: layers of one width share it.
        values: What is scattered, (..., edges, ...).
        index: The node of each edge.
        axis: Where edges are in ``values`` and nodes in the output, counted from 0.
        aggregation: Never MEAN, which is a division behind it.
        fill: What a node without edges has.
        keeps_fill: Whether the fill takes part in the result of nodes with edges.
        output: (..., nodes, ...).
    """

    nodes: tuple[ir.Node, ...]
    base_nodes: tuple[ir.Node, ...]
    values: ir.Value
    index: NodeIndex
    axis: int
    aggregation: Aggregation
    fill: float
    keeps_fill: bool
    output: ir.Value

    @property
    def num_nodes(self) -> int:
        """How many nodes there are to receive."""
        shape = static_shape(self.output)
        assert shape is not None  # match_segments refuses others
        return shape[self.axis]


IDENTITIES = {Aggregation.ADD: 0.0, Aggregation.MUL: 1.0}
_OPPOSITE = {"max": "min", "min": "max"}


def is_reducing_scatter(node: ir.Node) -> bool:
    """Whether a node adds, multiplies or compares floats at places given by an index."""
    return (
        is_op(node, "ScatterElements", "ScatterND")
        and string_attribute(node, "reduction", "none") != "none"
        and is_float(node.outputs[0])
    )


def match_segments(node: ir.Node) -> Segments | str:
    """The segments that a reducing scatter computes, or why they are not understood."""
    shape, values = static_shape(node.outputs[0]), node.inputs[2]
    if shape is None or not shape or values is None:
        return "its shape is not static"
    axis = int_attribute(node, "axis", 0) % len(shape) if is_op(node, "ScatterElements") else 0
    index = _index_of(node, axis)
    if index is None:
        return "its index is not one node number for each edge"
    value_shape = static_shape(values)
    if value_shape is None or _without(value_shape, axis) != _without(shape, axis):
        return "it scatters only some of the features of a node"
    aggregation = Aggregation(string_attribute(node, "reduction", "none"))
    base = _base(node, axis, index, aggregation)
    if base is None:
        return "what it adds to is not one number everywhere"
    prepared, fill, keeps = base
    shares = bool(prepared) and only_consumer(prepared[-1].outputs[0]) is not node
    nodes, output = (node,) if shares else (*prepared, node), node.outputs[0]
    return Segments(nodes, prepared, values, index, axis, aggregation, fill, keeps, output)


def _index_of(node: ir.Node, axis: int) -> NodeIndex | None:
    shape = static_shape(node.inputs[1])
    if shape is None:
        return None
    if is_op(node, "ScatterElements"):
        return resolve_index(node.inputs[1], axis)
    # (edges, 1): whole rows; deeper indices write single features.
    return resolve_index(node.inputs[1], 0) if len(shape) == 2 and shape[1] == 1 else None


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def _base(
    node: ir.Node, axis: int, index: NodeIndex, aggregation: Aggregation
) -> tuple[tuple[ir.Node, ...], float, bool] | None:
    """What prepares the base, its number, and whether that takes part."""
    base = node.inputs[0]
    fill = uniform_number(base)
    if fill is not None:
        return (), fill, not _is_neutral(fill, aggregation)
    fill = _fill_beside_edges(base, axis, index, aggregation)
    if fill is not None:
        return (), fill, False
    before = produced_by(base, "ScatterElements")
    if before is None:
        return None
    fill, before_index = uniform_number(before.inputs[0]), _index_of(before, axis)
    if fill is None or before_index is None or not before_index.same_as(index):
        return None
    if int_attribute(before, "axis", 0) % max(1, len(static_shape(base) or ())) != axis:
        return None
    reduction = string_attribute(before, "reduction", "none")
    written = uniform_number(before.inputs[2])
    if written is not None:
        forgets = reduction in ("none", _OPPOSITE.get(aggregation.value))
        neutral = _is_neutral(written, aggregation)
        return ((before,), fill, False) if forgets and neutral else None
    # max(0, smallest of all values, values of the node): the second changes nothing where
    # there are values, and nothing is written where there are none.
    extreme = _extreme_of_all(before.inputs[2], node.inputs[2], f"Reduce{aggregation.value}")
    if reduction == aggregation.value in _OPPOSITE and extreme is not None:
        return (*extreme, before), fill, True
    return None


def _fill_beside_edges(
    base: ir.Value | None, axis: int, index: NodeIndex, aggregation: Aggregation
) -> float | None:
    """The number of all nodes without edges, where a constant base is neutral for the others.

    It is what folding makes of the scatter in front when the graph is constant.
    """
    array, numbers = constant_array(base), index.numbers()
    if array is None or numbers is None:
        return None
    rows = np.moveaxis(array, axis, 0)
    if ((numbers < -len(rows)) | (numbers >= len(rows))).any():
        return None
    receives = np.zeros(len(rows), bool)
    receives[numbers] = True
    beside = rows[~receives].reshape(-1)
    neutral = all(
        _is_neutral(float(number), aggregation) for number in np.unique(rows[receives])
    )
    if not neutral or beside.size == 0 or not (beside == beside[0]).all():
        return None
    return float(beside[0])


def _is_neutral(number: float, aggregation: Aggregation) -> bool:
    """Whether a number changes no aggregation of finite messages."""
    largest = float(np.finfo(np.float32).max)
    if aggregation is Aggregation.MAX:
        return number <= -largest
    if aggregation is Aggregation.MIN:
        return number >= largest
    return number == IDENTITIES[aggregation]


def _extreme_of_all(
    value: ir.Value | None, values: ir.Value | None, same: str
) -> tuple[ir.Node, ...] | None:
    """Nodes of ``Expand(0 + ReduceMin(values))``; ReduceMax of values for a minimum."""
    wanted = "ReduceMin" if same == "Reducemax" else "ReduceMax"
    found: list[ir.Node] = []
    while value is not None:
        node = value.producer()
        if node is None or only_consumer(value) is None:
            return None
        found.insert(0, node)
        if is_op(node, wanted):
            shape = static_shape(value)
            whole = node.inputs[0] is values and shape is not None and math.prod(shape) == 1
            return tuple(found) if whole else None
        if is_op(node, "Add") and uniform_number(node.inputs[0]) == 0.0:
            value = node.inputs[1]
        elif is_op(node, "Expand", "Reshape", "Unsqueeze"):
            value = node.inputs[0]
        else:
            return None
    return None
