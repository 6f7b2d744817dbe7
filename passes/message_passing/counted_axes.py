"""Which axis of which value has a counted dimension, followed through a graph."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import onnx_ir as ir

from octavo.passes.message_passing.axes import Shared, axis_of_input
from octavo.passes.message_passing.counts import Count, counts_of, declare_counts
from octavo.passes.message_passing.node_index import NodeIndex
from octavo.passes.wiring import int_attribute, is_op, static_shape

_SAME_AXES = ("DequantizeLinear", "QuantizeLinear")


@dataclass(frozen=True)
class CountedAxis:
    """An axis that has a counted dimension.

    Attributes:
        axis: Counted from 0.
        count: The dimension.
    """

    axis: int
    count: Count


CountedAxes = Mapping[ir.Value, CountedAxis]


def counted_axes(graph: ir.Graph) -> dict[ir.Value, CountedAxis]:
    """Follow the counted dimensions of a graph.

    Args:
        graph: Topologically sorted, static shapes; passes may have changed it since its
            counts were declared.

    Returns:
        The counted axis of every value that is known to have one. No value has two.
    """
    known: dict[ir.Value, CountedAxis] = {}
    counts = present_counts(graph)
    if not counts:
        return known
    constants = {n: CountedAxis(axis, c) for c in counts for n, axis in c.constants.items()}
    inputs = {n: CountedAxis(axis, c) for c in counts for n, axis in c.inputs.items()}
    starts: Iterable[tuple[ir.Value, Mapping[str, CountedAxis]]] = (
        *((value, inputs) for value in graph.inputs),
        *((value, constants) for value in graph.initializers.values()),
    )
    for value, named in starts:
        found = named.get(value.name or "")
        if found is not None and _has(value, found):
            known[value] = found
    for node in graph:
        for output in node.outputs:
            found = axis_of_output(node, output, known) or constants.get(output.name or "")
            if found is not None and _has(output, found):
                known[output] = found
    return known


def present_counts(graph: ir.Graph) -> tuple[Count, ...]:
    """The counted dimensions that an input has: a part of a graph may have lost them all."""
    names = {value.name for value in graph.inputs}
    return tuple(count for count in counts_of(graph) if names.intersection(count.inputs))


def declare_inputs(graph: ir.Graph, inputs: Mapping[str, CountedAxis]) -> None:
    """Tell of further inputs of a graph which axis of theirs is counted."""
    counts = tuple(
        replace(
            count,
            inputs=count.inputs
            | {
                name: found.axis
                for name, found in inputs.items()
                if found.count.dimension == count.dimension
            },
        )
        for count in counts_of(graph)
    )
    declare_counts(graph, counts)


def axis_of_output(
    node: ir.Node, output: ir.Value, known: Mapping[ir.Value, CountedAxis]
) -> CountedAxis | None:
    """The counted axis of a node's output, None where it has none.

    Args:
        node: Any.
        output: One of its outputs.
        known: Of its inputs.
    """
    shape = static_shape(output)
    operands = [
        (i, known[v]) for i, v in enumerate(node.inputs) if v is not None and v in known
    ]
    if shape is None or not operands:
        return None
    if is_op(node, *_SAME_AXES, "ScatterElements", "ScatterND"):
        return next((found for position, found in operands if position == 0), None)
    if is_op(node, "Gather", "GatherElements", "GatherND"):
        gathered = _axis_of_gather(node, dict(operands))
        if gathered is not None:
            return gathered
    for position, found in operands:
        for axis in range(len(shape)):
            before = axis_of_input(node, position, axis)
            if not isinstance(before, Shared) and before == found.axis:
                return CountedAxis(axis, found.count)
    return None


def _axis_of_gather(node: ir.Node, known: Mapping[int, CountedAxis]) -> CountedAxis | None:
    """An axis that the indices bring."""
    index = known.get(1)
    if index is None:
        return None
    if not is_op(node, "Gather"):
        return index
    rank = len(static_shape(node.inputs[0]) or ())
    place = int_attribute(node, "axis", 0) % rank
    return CountedAxis(place + index.axis, index.count)


def _has(value: ir.Value, found: CountedAxis) -> bool:
    shape = static_shape(value) or ()
    return found.axis < len(shape) and shape[found.axis] == found.count.maximum


def count_of_index(index: NodeIndex | None, known: CountedAxes) -> Count | None:
    """The dimension that says how many numbers of an index are in use; None for all."""
    if index is None or index.origin not in known:
        return None
    found = known[index.origin]
    return found.count if found.axis == index.axis else None
