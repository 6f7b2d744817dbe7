"""Which node each edge starts or ends at: index expressions traced to where they come from.

Exporters take a row of ``edge_index`` by Gather, or by Slice and Squeeze, bring it to a
column, and Expand it to the shape of what is scattered. All of that only repeats the row: two
expressions with the same origin are the same index, whatever is between.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import constant_array
from octavo.passes.message_passing.axes import axis_before
from octavo.passes.wiring import int_attribute, is_op, produced_by, static_shape


@dataclass(frozen=True, eq=False)
class NodeIndex:
    """One node number for each edge.

    Attributes:
        origin: What holds the numbers, or repeats of them if it is a constant.
        axis: The axis of ``origin`` along which edges are counted.
        row: Which of the other axis of ``origin``, or None if there is none: an index of rank
            1, or a constant that repeats itself along its other axes.
        length: Number of edges.
    """

    origin: ir.Value
    axis: int
    row: int | None
    length: int

    def same_as(self, other: "NodeIndex") -> bool:
        """Whether both hold the same numbers: of the same origin, or equal constants."""
        if self.origin is other.origin and (self.axis, self.row) == (other.axis, other.row):
            return True
        left, right = self.numbers(), other.numbers()
        return left is not None and right is not None and np.array_equal(left, right)

    def numbers(self) -> NDArray[np.int64] | None:
        """The node numbers (length,) of a constant index, else None."""
        array = constant_array(self.origin)
        if array is None:
            return None
        rows = np.moveaxis(array, self.axis, 0).reshape(self.length, -1)
        return np.asarray(rows[:, self.row or 0], np.int64)


def resolve_index(value: ir.Value | None, axis: int) -> NodeIndex | None:
    """Trace an index expression to its origin.

    Args:
        value: Integers; the same along every axis but one.
        axis: That one, counted from 0.

    Returns:
        None where the numbers of an edge may differ, or are computed.
    """
    shape = static_shape(value)
    if value is None or shape is None or not 0 <= axis < len(shape):
        return None
    length = shape[axis]
    while True:
        shape = static_shape(value)
        if value is None or shape is None or shape[axis] != length:
            return None
        array = constant_array(value)
        if array is not None:
            return _constant_index(value, array, axis)
        node = value.producer()
        picked = _picked_row(node, axis)
        if picked is not None:
            return picked
        known = node is not None and is_op(node, *_REPEATS)
        before = axis_before(node, 0, axis) if known and node is not None else None
        if node is None or before is None:
            # Given as it is, or computed (a Reshape that merges edges with something, too).
            return NodeIndex(value, axis, None, length) if math.prod(shape) == length else None
        value, axis = node.inputs[0], before


_REPEATS = ("Cast", "Expand", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def _constant_index(value: ir.Value, array: NDArray[Any], axis: int) -> NodeIndex | None:
    rows = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)
    if rows.shape[1] == 0 or not (rows == rows[:, :1]).all():
        return None
    return NodeIndex(value, axis, None, rows.shape[0])


def _picked_row(node: ir.Node | None, axis: int) -> NodeIndex | None:
    """The row of a matrix that Gather, or Slice or Split and Squeeze, takes out of it."""
    if node is None:
        return None
    if is_op(node, "Gather"):
        number = constant_array(node.inputs[1])
        shape = static_shape(node.inputs[0])
        if number is None or number.size != 1 or shape is None or len(shape) != 2:
            return None
        side = int_attribute(node, "axis", 0) % 2
        before = axis_before(node, 0, axis)
        if before is None or before == side:
            return None
        return _row_of(node.inputs[0], before, int(number.reshape(())) % shape[side])
    part = produced_by(node.inputs[0], "Slice", "Split") if _only_reshapes(node) else None
    if part is None:
        return None
    shape, whole = static_shape(node.inputs[0]), static_shape(part.inputs[0])
    before = axis_before(node, 0, axis)
    if shape is None or whole is None or before is None or len(whole) != 2:
        return None
    side = 1 - before
    if shape[side] != 1 or shape[before] != whole[before]:
        return None
    row = _first_of(part, node.inputs[0], side, whole[side])
    return None if row is None else _row_of(part.inputs[0], before, row)


def _only_reshapes(node: ir.Node) -> bool:
    return is_op(node, "Squeeze", "Reshape")


def _first_of(part: ir.Node, output: ir.Value | None, side: int, size: int) -> int | None:
    """Where along ``side`` a Slice or Split of one row begins."""
    if is_op(part, "Slice"):
        starts, axes = constant_array(part.inputs[1]), constant_array(part.inputs[3])
        if starts is None or axes is None:
            return None
        for start, which in zip(starts.tolist(), axes.tolist(), strict=True):
            if which % 2 == side:
                return int(start) % size if -size <= start < size else None
        return None
    if int_attribute(part, "axis", 0) % 2 != side:
        return None
    return next(i for i, value in enumerate(part.outputs) if value is output)


def _row_of(value: ir.Value | None, axis: int, row: int) -> NodeIndex | None:
    """A row of a matrix of indices; of an input or a computed one alike."""
    shape = static_shape(value)
    if value is None or shape is None or value.dtype not in _INTEGERS:
        return None
    return NodeIndex(value, axis, row, shape[axis])


_INTEGERS = (ir.DataType.INT64, ir.DataType.INT32)
