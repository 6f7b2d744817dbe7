"""Readouts: all nodes of a graph brought together into one row."""

from collections.abc import Collection, Iterable

import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.message_passing.axes import axis_of_input
from octavo.passes.message_passing.linear_weights import layers_behind
from octavo.passes.message_passing.regions import MessagePassing, Readout
from octavo.passes.message_passing.segments import Aggregation, Segments
from octavo.passes.wiring import int_attribute, is_op, static_shape

_REDUCTIONS = {
    "ReduceMax": Aggregation.MAX,
    "ReduceMean": Aggregation.MEAN,
    "ReduceMin": Aggregation.MIN,
    "ReduceProd": Aggregation.MUL,
    "ReduceSum": Aggregation.ADD,
}


def segment_readout(segments: Segments, division: ir.Node | None) -> Readout:
    """The readout of a scatter by graph number.

    Args:
        segments: Of features of nodes.
        division: The Div that makes a mean of it, or None.
    """
    nodes = segments.nodes if division is None else (*segments.nodes, division)
    pooled = nodes[-1].outputs[0]
    return Readout(
        segments.nodes[-1],
        nodes,
        segments.values,
        segments.index,
        segments.aggregation if division is None else Aggregation.MEAN,
        pooled,
        segments.num_nodes,
        layers_behind(pooled),
    )


def find_reductions(
    passings: Iterable[MessagePassing], taken: Collection[ir.Node]
) -> list[Readout]:
    """Reductions over all nodes of what message passing made: one graph.

    Args:
        passings: Where to start.
        taken: Nodes that are readouts already.
    """
    found: dict[ir.Node, Readout] = {}
    pending = [(passing.aggregated, passing.node_axis) for passing in passings]
    seen = {value for value, _ in pending}
    while pending:
        value, axis = pending.pop(0)
        for node, position in value.uses():
            if node in taken or node in found:
                continue
            if is_op(node, *_REDUCTIONS) and position == 0 and _axes(node) == [axis]:
                found[node] = _reduction(node, value)
                continue
            for output in node.outputs:
                after = _axis_behind(node, position, axis, output)
                if after is not None and output not in seen:
                    seen.add(output)
                    pending.append((output, after))
    return list(found.values())


def _reduction(node: ir.Node, value: ir.Value) -> Readout:
    pooled = node.outputs[0]
    aggregation = _REDUCTIONS[node.op_type]
    return Readout(node, (node,), value, None, aggregation, pooled, 1, layers_behind(pooled))


def _axes(node: ir.Node) -> list[int] | None:
    axes, shape = constant_array(node.inputs[1]) if len(node.inputs) > 1 else None, None
    shape = static_shape(node.inputs[0])
    if shape is None:
        return None
    if axes is None:
        every = not int_attribute(node, "noop_with_empty_axes", 0)
        return list(range(len(shape))) if every else []
    return [int(i) % len(shape) for i in axes.reshape(-1)]


def _axis_behind(node: ir.Node, position: int, axis: int, output: ir.Value) -> int | None:
    shape = static_shape(output)
    if shape is None:
        return None
    places = range(len(shape))
    return next((i for i in places if axis_of_input(node, position, i) == axis), None)
