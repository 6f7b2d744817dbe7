"""What a softmax over the edges of a node reads: two numbers of nodes, or one of the edge."""

from dataclasses import dataclass

import onnx_ir as ir

from octavo.passes.message_passing.edge_rows import gathered_rows, through_moves
from octavo.passes.message_passing.regions import MessagePassing
from octavo.passes.wiring import float_attribute, produced_by, static_shape


@dataclass(frozen=True, eq=False)
class Scores:
    """The logits of attention.

    Attributes:
        of_edges: (edges, heads), computed before; None where ends give them.
        of_target: (nodes, heads), read at the target; None where ``of_edges`` is given.
        of_source: (nodes, heads), read at the source.
        slope: Of the LeakyRelu of their sum; 1 for none.
        added: Number added to every sum of the softmax, or 0.
        nodes: Of the softmax, and of scores that ends give.
    """

    of_edges: ir.Value | None
    of_target: ir.Value | None
    of_source: ir.Value | None
    slope: float
    added: float
    nodes: tuple[ir.Node, ...]


def scores_of(passing: MessagePassing, coefficients: ir.Value) -> Scores | None:
    """The logits of the softmax that makes coefficients, or None where none makes them.

    Args:
        passing: The region.
        coefficients: (edges, heads), or what DequantizeLinear makes of them.
    """
    softmax = passing.softmax
    back = produced_by(coefficients, "DequantizeLinear")
    rounding = produced_by(back.inputs[0], "QuantizeLinear") if back is not None else None
    rounded = () if back is None or rounding is None else (rounding, back)
    made = rounding.inputs[0] if rounding is not None else coefficients
    if softmax is None or made is not softmax.coefficients:
        return None
    shape = static_shape(softmax.scores)
    if shape is None or len(shape) not in (1, 2):
        return None
    nodes = (*rounded, *softmax.nodes)
    ends = _of_ends(passing, softmax.scores, shape)
    if ends is None:
        return Scores(softmax.scores, None, None, 1.0, softmax.added, nodes)
    target, source, slope, between = ends
    return Scores(None, target, source, slope, softmax.added, (*nodes, *between))


def _of_ends(
    passing: MessagePassing, scores: ir.Value, shape: tuple[int, ...]
) -> tuple[ir.Value, ir.Value, float, tuple[ir.Node, ...]] | None:
    """``[LeakyRelu](a[target] + b[source])`` as a, b, the slope and the nodes."""
    adjacency = passing.adjacency
    if adjacency.targets is None:
        return None
    value, passed = through_moves(scores, shape[0])
    between, slope = list(passed), 1.0
    leaky = produced_by(value, "LeakyRelu", "Relu")
    if leaky is not None and leaky.inputs[0] is not None:
        is_leaky = leaky.op_type == "LeakyRelu"
        slope = float_attribute(leaky, "alpha", 0.01) if is_leaky else 0.0
        value, passed = through_moves(leaky.inputs[0], shape[0])
        between += [leaky, *passed]
    addition = produced_by(value, "Add")
    if addition is None:
        return None
    for one, other in (addition.inputs, reversed(addition.inputs)):
        if one is None or other is None or static_shape(one) != static_shape(other):
            return None
        target = gathered_rows(one, adjacency.targets)
        source = gathered_rows(other, adjacency.sources)
        if target is not None and source is not None:
            between += [addition, *target.nodes, *source.nodes]
            return target.features, source.features, slope, tuple(between)
    return None
