"""Walk a graph backwards and append what every operator's rule says.

``y = f(x)`` and a cotangent dL/dy -> the same graph, with nodes behind it that compute dL/dx:
a vector-Jacobian product as ONNX operators. The same walk carries relevances; what differs is
the table of rules.
"""

from collections.abc import Callable, Mapping, Sequence

import onnx_ir as ir

from octavo.errors import ModelError
from octavo.passes.gradients.emitter import Emitter, shape_of

# What one input of a node gets from the cotangents of its outputs (None: not reached); None
# when it gets nothing. The integer is the position of the input.
Rule = Callable[
    [Emitter, ir.Node, Sequence[ir.Value | None], int],
    ir.Value | None,
]
Rules = Mapping[str, Rule]


def propagate(
    graph: ir.Graph,
    cotangents: Mapping[ir.Value, ir.Value],
    wanted: Sequence[ir.Value],
    rules: Rules,
) -> dict[ir.Value, ir.Value]:
    """Append nodes that carry cotangents back to chosen values.

    Args:
        graph: Sorted, with static shapes; nodes and constants are added, nothing is changed.
        cotangents: For some values what arrives at them from outside the graph: an input, a
            constant or a computed value of the same shape and of one floating point type.
        wanted: Values to arrive at: inputs, weights or computed values.
        rules: What each operator does, by its type.

    Returns:
        The computed value for each wanted one; values that nothing arrives at are left out.

    Raises:
        ModelError: An operator on the way has no rule, or a shape is not static.
    """
    if not cotangents:
        return {}
    dtype = next(iter(cotangents.values())).dtype
    if dtype is None or not dtype.is_floating_point():
        raise ValueError(f"cotangents of type {dtype}; allowed: floating point types")
    emitter = Emitter(graph, dtype)
    nodes = list(graph)
    reached = _depending_on(nodes, wanted)
    arrived: dict[ir.Value, list[ir.Value]] = {}
    for value, cotangent in cotangents.items():
        arrived.setdefault(value, []).append(cotangent)
    for node in reversed(nodes):
        found = [_total(emitter, arrived, value) for value in node.outputs]
        if all(value is None for value in found):
            continue
        for position, operand in enumerate(node.inputs):
            if operand is None or operand not in reached:
                continue
            share = _rule(rules, node)(emitter, node, found, position)
            if share is not None:
                arrived.setdefault(operand, []).append(share)
    totals = {value: _total(emitter, arrived, value) for value in wanted}
    return {value: total for value, total in totals.items() if total is not None}


def _depending_on(nodes: Sequence[ir.Node], wanted: Sequence[ir.Value]) -> set[ir.Value]:
    reached = set(wanted)
    for node in nodes:
        if any(value in reached for value in node.inputs if value is not None):
            reached.update(node.outputs)
    return reached


def _total(
    emitter: Emitter, arrived: dict[ir.Value, list[ir.Value]], value: ir.Value
) -> ir.Value | None:
    shares = arrived.get(value)
    if not shares:
        return None
    if len(shares) > 1:
        shares[:] = [emitter.op("Sum", *shares)]
    total = shares[0]
    if total.shape is None:
        total.shape = ir.Shape(shape_of(value))
    return total


def _rule(rules: Rules, node: ir.Node) -> Rule:
    rule = rules.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if rule is None:
        raise ModelError(
            f"{node.op_type} {node.name!r}: no derivative of this operator is known"
        )
    return rule


def one_output(cotangents: Sequence[ir.Value | None]) -> ir.Value:
    """The cotangent of a node with one output that matters."""
    cotangent = cotangents[0]
    if cotangent is None:
        raise ValueError("the first output of the node was not reached")
    return cotangent


def no_rule_for(node: ir.Node, position: int) -> ModelError:
    """The error for an input that an operator's rule does not cover."""
    return ModelError(
        f"{node.op_type} {node.name!r}: no derivative by its input {position} is known"
    )
