"""Factors of messages: attention coefficients and weights of edges.

A message is ``coefficient * features`` where the coefficient is one number for an edge, or one
for each head of it: fewer numbers than the message has.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import onnx_ir as ir

from octavo.passes.message_passing.axes import Shared, axis_before, axis_of_input
from octavo.passes.message_passing.edge_trace import EdgeTrace, Gathered, trace_edges
from octavo.passes.message_passing.node_index import NodeIndex
from octavo.passes.message_passing.scatter_softmax import ScatterSoftmax
from octavo.passes.wiring import is_op, static_shape

# Rounding to integers and back does not make another factor of it, either.
_MOVES = (
    "DequantizeLinear", "Expand", "Identity", "QuantizeLinear", "Reshape", "Slice", "Squeeze",
    "Transpose", "Unsqueeze",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Coefficients:
    """What multiplies the features of a message.

    Attributes:
        value: The factors, before they are brought to the shape of the messages; or None.
        inputs: Node features that they are made of.
        attributes: Of edges, that they are made of.
        softmax: That makes them, or None.
        features: Node features that they multiply: all of them where there are none.
        feature_attributes: Of edges, that those meet in the message.
    """

    value: ir.Value | None
    inputs: tuple[Gathered, ...]
    attributes: tuple[ir.Value, ...]
    softmax: ScatterSoftmax | None
    features: tuple[Gathered, ...]
    feature_attributes: tuple[ir.Value, ...]


def find_coefficients(
    messages: ir.Value,
    axis: int,
    targets: NodeIndex,
    trace: EdgeTrace,
    stops: Collection[ir.Node],
) -> Coefficients:
    """Tell the coefficients of messages from the features that they multiply.

    Args:
        messages: (..., edges, ...).
        axis: Where edges are in it, counted from 0.
        targets: The index that they are scattered by.
        trace: Of the messages.
        stops: Nodes that the trace took for attributes.
    """
    none = Coefficients(None, (), (), None, tuple(trace.gathered.values()), _attributes(trace))
    value, axis, _ = _unmoved(messages, axis)
    product = value.producer()
    if product is None or not is_op(product, "Mul") or product in stops:
        return none
    operands = []
    for position, operand in enumerate(product.inputs):
        before = axis_of_input(product, position, axis)
        if operand is None or before is None or isinstance(before, Shared):
            return none
        operands.append((operand, before))
    softmaxes = {softmax.coefficients: softmax for softmax in trace.softmaxes}
    factor = _factor(operands, set(softmaxes), value)
    if factor is None:
        return none
    source, source_axis, _ = _unmoved(*operands[factor])
    inner = trace_edges(source, source_axis, targets, stops)
    outer = trace_edges(*operands[1 - factor], targets, stops)
    # The trace of the messages found the same Gathers, by records of its own.
    inputs = tuple(trace.gathered[node] for node in inner.gathered)
    features = tuple(trace.gathered[node] for node in outer.gathered)
    return Coefficients(
        source, inputs, _attributes(inner), softmaxes.get(source), features, _attributes(outer)
    )


def _attributes(trace: EdgeTrace) -> tuple[ir.Value, ...]:
    """What is read of edges, before it is brought to another shape."""
    return tuple(dict.fromkeys(_unmoved(*one)[0] for one in trace.attributes.items()))


def _factor(
    operands: list[tuple[ir.Value, int]], softmaxes: Collection[ir.Value], product: ir.Value
) -> int | None:
    """Which operand of a product is the coefficient."""
    sources = [_unmoved(*operand) for operand in operands]
    for position, (source, _, _) in enumerate(sources):
        if source in softmaxes:
            return position
    whole = math.prod(static_shape(product) or ())
    sizes = [smallest for _, _, smallest in sources]
    if sizes[0] == sizes[1] or min(sizes) >= whole:
        return None
    return sizes.index(min(sizes))


def _unmoved(value: ir.Value, axis: int) -> tuple[ir.Value, int, int]:
    """What a value is before it is only moved or repeated, its edges, and how many numbers."""
    node = value.producer()
    while node is not None and is_op(node, *_MOVES):
        before = axis_before(node, 0, axis)
        source = node.inputs[0]
        if before is None or source is None:
            break
        value, axis, node = source, before, source.producer()
    return value, axis, math.prod(static_shape(value) or ())
