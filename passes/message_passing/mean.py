"""A sum over the edges of each node divided by their number: the mean.

``Div(ScatterElements<add>(values), max(degree, 1))`` where the degree is a scatter of ones by
the same index, or a constant that equals it.
"""

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import constant_array, scalar_constant
from octavo.passes.message_passing.axes import axis_before
from octavo.passes.message_passing.segments import (
    Aggregation,
    Segments,
    is_reducing_scatter,
    match_segments,
)
from octavo.passes.message_passing.uniform import uniform_number
from octavo.passes.wiring import is_op, only_consumer, static_shape


def match_mean(segments: Segments) -> ir.Node | None:
    """The Div that makes a mean of a sum, or None.

    Args:
        segments: Any; only sums over zeros become means.
    """
    division = only_consumer(segments.output)
    if segments.aggregation is not Aggregation.ADD or segments.fill != 0.0:
        return None
    if division is None or not is_op(division, "Div"):
        return None
    divisor = division.inputs[1]
    if division.inputs[0] is not segments.output or divisor is None:
        return None
    shape = static_shape(division.outputs[0])
    if shape is None or shape != static_shape(segments.output):
        return None
    return division if _is_degree(divisor, segments, len(shape)) else None


def counts_edges(segments: Segments) -> bool:
    """Whether a scatter adds a constant for each edge: a degree, or a weighted one."""
    constant = constant_array(segments.values) is not None
    same = uniform_number(segments.values) is not None
    return segments.aggregation is Aggregation.ADD and (constant or same)


def _is_degree(divisor: ir.Value, segments: Segments, rank: int) -> bool:
    """Whether a value is max(number of edges, 1), along the axis of the nodes."""
    value: ir.Value | None = divisor
    shape = static_shape(divisor)
    if shape is None:
        return False
    axis: int | None = segments.axis - (rank - len(shape))
    at_least_one = False
    while value is not None and axis is not None and axis >= 0:
        array, node = constant_array(value), value.producer()
        if array is not None:
            return _equals_degrees(array, axis, segments)
        if node is None:
            return False
        if is_reducing_scatter(node):
            return at_least_one and _counts_by(node, axis, segments)
        if is_op(node, "Max", "Clip"):
            at_least_one = _is_floor_of_one(node)
            if not at_least_one:
                return False
            constant = constant_array(node.inputs[0]) is not None
            value = node.inputs[1] if constant else node.inputs[0]
            continue
        if not is_op(node, "Cast", "Expand", "Reshape", "Squeeze", "Unsqueeze"):
            return False
        axis, value = axis_before(node, 0, axis), node.inputs[0]
    return False


def _equals_degrees(array: NDArray[Any], axis: int, segments: Segments) -> bool:
    numbers, num_nodes = segments.index.numbers(), segments.num_nodes
    if numbers is None or array.shape[axis] != num_nodes:
        return False
    degrees = np.bincount(numbers % num_nodes, minlength=num_nodes)
    rows = np.moveaxis(array, axis, 0).reshape(num_nodes, -1)
    return bool((rows == np.maximum(degrees, 1)[:, None]).all())


def _is_floor_of_one(node: ir.Node) -> bool:
    if is_op(node, "Clip"):
        upper = node.inputs[2] if len(node.inputs) > 2 else None
        return upper is None and scalar_constant(node.inputs[1]) == 1.0
    numbers = [scalar_constant(value) for value in node.inputs]
    return len(numbers) == 2 and 1.0 in numbers


def _counts_by(node: ir.Node, axis: int, segments: Segments) -> bool:
    degree = match_segments(node)
    if isinstance(degree, str) or degree.aggregation is not Aggregation.ADD:
        return False
    return (
        uniform_number(degree.values) == 1.0
        and degree.fill == 0.0
        and degree.axis == axis
        and degree.index.same_as(segments.index)
    )
