"""Find single-input elementwise chains: subgraphs that are one function of one tensor.

``x -> Sigmoid -> Mul(x, .)`` is such a chain: every value on the way depends only on the value
of x at the same place (and on scalar constants), so after quantization it is one 256-entry
table. No quantizers belong inside it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import scalar_constant
from octavo.passes.elementwise import evaluate, is_elementwise
from octavo.passes.wiring import is_float, static_shape


@dataclass(frozen=True, eq=False)
class Chain:
    """One function of one tensor.

    Attributes:
        source: The tensor that is read.
        nodes: The operators, in graph order.
        output: The tensor that is made; same shape as ``source``.
    """

    source: ir.Value
    nodes: tuple[ir.Node, ...]
    output: ir.Value


def find_chains(graph: ir.Graph, excluded: Collection[ir.Node]) -> list[Chain]:
    """Every maximal chain of a graph, in graph order.

    Args:
        graph: In topological order, with static shapes.
        excluded: Nodes that belong to no chain (kept in float, or fused elsewhere).

    Returns:
        Chains that do not overlap. Inside one, a value has no reader outside it.
    """
    # A value that something outside its chain reads ends the chain. Cutting there can give the
    # readers another source, hence the iteration; the set only grows, so it ends.
    materialized: set[ir.Value] = set()
    while True:
        sources = _sources(graph, excluded, materialized)
        escaped = [value for value in _escapes(sources) if value not in materialized]
        if not escaped:
            return _collect(sources, materialized)
        materialized.update(escaped)


def computed_inputs(node: ir.Node) -> list[ir.Value]:
    """The inputs of a node that are not scalar constants, in order."""
    return [v for v in node.inputs if v is not None and scalar_constant(v) is None]


def evaluate_chain(
    nodes: Sequence[ir.Node], source: ir.Value, x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The value of a chain at the points ``x`` of its source, float64, same shape."""
    values: dict[ir.Value, NDArray[np.float64]] = {source: np.asarray(x, np.float64)}
    result = values[source]
    for node in nodes:
        inputs = []
        for value in node.inputs:
            if value is None:
                continue
            constant = scalar_constant(value)
            inputs.append(values[value] if constant is None else np.array(constant))
        result = np.asarray(evaluate(node, inputs)) + np.zeros_like(values[source])
        values[node.outputs[0]] = result
    return result


def _sources(
    graph: ir.Graph, excluded: Collection[ir.Node], materialized: set[ir.Value]
) -> dict[ir.Node, ir.Value]:
    sources: dict[ir.Node, ir.Value] = {}
    for node in graph:
        inputs = computed_inputs(node)
        if node in excluded or not inputs or not _fits(node, inputs):
            continue
        roots = []
        for value in inputs:
            producer = value.producer()
            inner = producer in sources and value not in materialized
            roots.append(sources[producer] if inner and producer is not None else value)
        if all(root is roots[0] for root in roots):
            sources[node] = roots[0]
        elif all(value is inputs[0] for value in inputs):
            sources[node] = inputs[0]
    return sources


def _fits(node: ir.Node, inputs: list[ir.Value]) -> bool:
    if not is_elementwise(node) or not is_float(node.outputs[0]):
        return False
    shape = static_shape(node.outputs[0])
    if shape is None or 0 in shape:
        return False
    return all(is_float(value) and static_shape(value) == shape for value in inputs)


def _escapes(sources: dict[ir.Node, ir.Value]) -> list[ir.Value]:
    escaped = []
    for node, source in sources.items():
        output = node.outputs[0]
        readers = [use.node for use in output.uses()]
        inside = [r for r in readers if sources.get(r) is source]
        # Read both inside and outside, or by readers that see it as their own source.
        if len(inside) != len(readers) or output.is_graph_output():
            escaped.append(output)
    return escaped


def _collect(sources: dict[ir.Node, ir.Value], materialized: set[ir.Value]) -> list[Chain]:
    chains = []
    order = {node: index for index, node in enumerate(sources)}
    for node, source in sources.items():
        if node.outputs[0] not in materialized:
            continue
        members: set[ir.Node] = set()
        pending = [node]
        while pending:
            member = pending.pop()
            members.add(member)
            for value in computed_inputs(member):
                producer = value.producer()
                if value is not source and producer is not None and producer not in members:
                    pending.append(producer)
        ordered = tuple(sorted(members & sources.keys(), key=order.__getitem__))
        chains.append(Chain(source, ordered, node.outputs[0]))
    return chains
