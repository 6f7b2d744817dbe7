"""Group message passing into regions that one integer kernel computes.

``Gather, [Mul | Add, Relu], scatter, [Div] -> [Add bias] -> [Relu | Clip(0, c)]`` is one
region: features and coefficients are integers, their sums int32, and what a node has
received is rounded once. Nothing that is as long as the edges is rounded on the way.

What is computed from edges alone stays in float: degrees and their powers would take the
largest degree as their range, and a node of few edges would lose its own.
"""

from collections.abc import Collection
from dataclasses import dataclass

import onnx_ir as ir

from octavo.passes.constants import constant_array, float_constant
from octavo.passes.elementwise import is_zero_clip
from octavo.passes.message_passing.edge_trace import GATHERS
from octavo.passes.message_passing.find import recognize
from octavo.passes.message_passing.forms import Form, form_of, readout_form
from octavo.passes.message_passing.regions import GraphNetwork
from octavo.passes.message_passing.segments import (
    Aggregation,
    Segments,
    is_reducing_scatter,
    match_segments,
)
from octavo.passes.message_passing.sum_bounds import why_sums_overflow
from octavo.passes.wiring import is_float, is_op, only_consumer, static_shape

PREPARES_BASE = "prepares what extremes start from: their kernel starts from nothing"
EDGES_ALONE = "computed from edges alone: degrees would set the scale of their own powers"
_CARRIERS = (*GATHERS, "Expand", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze")
_RESHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")


@dataclass(frozen=True, eq=False)
class MessageRegion:
    """An aggregation with what its kernel computes behind it.

    Attributes:
        form: What is aggregated, and of which operands.
        nodes: All of them, in graph order; what brings operands to several regions is in each.
        output: What is rounded.
    """

    form: Form
    nodes: tuple[ir.Node, ...]
    output: ir.Value


@dataclass(frozen=True, eq=False)
class MessagePlan:
    """Message passing as the quantizer sees it.

    Attributes:
        regions: Aggregations that a kernel of integers computes, in graph order.
        float_nodes: What stays in float because of the graph, with the reason.
        scores: What a softmax over edges reads: float, unless something else wants integers.
    """

    regions: tuple[MessageRegion, ...]
    float_nodes: dict[ir.Node, str]
    scores: frozenset[ir.Value]

    def extend(self, excluded: Collection[ir.Node]) -> set[ir.Node]:
        """Nodes kept in float, with what belongs to aggregations among them."""
        behind = {n for r in self.regions if r.form.head in excluded for n in r.nodes}
        return {*excluded, *self.float_nodes, *behind}


def plan_messages(graph: ir.Graph) -> MessagePlan:
    """Plan the regions of message passing of a prepared float graph.

    Args:
        graph: Topologically sorted, static shapes.
    """
    network = recognize(graph)
    if not (network.passings or network.readouts or network.degrees or network.reasons):
        return MessagePlan((), {}, frozenset())
    float_nodes = _made_of_edges(graph, network)
    forms: list[Form] = []
    found = [
        *((p.head, form_of(p)) for p in network.passings),
        *((r.node, readout_form(r)) for r in network.readouts if r.index is not None),
    ]
    for head, form in found:
        problem = form if isinstance(form, str) else why_sums_overflow(form)
        if problem:
            float_nodes.setdefault(head, f"no integer kernel: {problem}")
        elif isinstance(form, Form) and head not in float_nodes:
            forms.append(form)
            float_nodes.update((n, PREPARES_BASE) for n in _bases(head, form))
    for node in graph:
        if is_reducing_scatter(node) and (node.name or "") in network.reasons:
            float_nodes.setdefault(
                node, f"no integer kernel: {network.reasons[node.name or '']}"
            )
    order = {node: index for index, node in enumerate(graph)}
    forms.sort(key=lambda form: order[form.head])
    scores = [
        value
        for form in forms
        if form.scores is not None
        for value in (form.scores.of_edges, form.scores.of_target, form.scores.of_source)
        if value is not None
    ]
    regions = [_with_tail(form, order) for form in forms]
    return MessagePlan(tuple(regions), float_nodes, frozenset(scores))


def _bases(head: ir.Node, form: Form) -> list[ir.Node]:
    """What prepares the base of several extremes: each could have its own."""
    segments = match_segments(head) if is_reducing_scatter(head) else ""
    bases = segments.base_nodes if isinstance(segments, Segments) else ()
    return [node for node in bases if node not in form.nodes]


def _made_of_edges(graph: ir.Graph, network: GraphNetwork) -> dict[ir.Node, str]:
    """Degrees and what is computed from them, until features of nodes come in."""
    made = set(network.degrees)
    for node in graph:
        operands = [v for v in node.inputs if is_float(v) and constant_array(v) is None]
        if operands and all(v is not None and v.producer() in made for v in operands):
            made.add(node)
    return {node: EDGES_ALONE for node in graph if node in made}


def _with_tail(form: Form, order: dict[ir.Node, int]) -> MessageRegion:
    """Take the bias and the limit behind an aggregation along, and Reshapes up to them."""
    inside = {*form.nodes}
    output = form.output
    for moved, value in _moved(form):
        behind = _behind(form, value)
        if behind:
            inside.update((*moved, *behind))
            output = behind[-1].outputs[0]
            break
    for operand in (form.coefficients, *form.features):
        if operand is not None:
            inside.update(_carriers(operand, inside))
    return MessageRegion(form, tuple(sorted(inside, key=order.__getitem__)), output)


def _carriers(operand: ir.Value, inside: Collection[ir.Node]) -> set[ir.Node]:
    """What brings an operand to the region, for other regions as well."""
    found: set[ir.Node] = set()
    for use in operand.uses():
        if use.node in inside or not is_op(use.node, *_CARRIERS) or use.idx != 0:
            continue
        output = use.node.outputs[0]
        further = _carriers(output, inside)
        if further or any(reader.node in inside for reader in output.uses()):
            found |= {use.node, *further}
    return found


def _behind(form: Form, value: ir.Value) -> tuple[ir.Node, ...]:
    """A constant bias and a limit that alone read a value."""
    node, bias = only_consumer(value), None
    is_sum = form.aggregation is Aggregation.ADD
    if node is not None and is_sum and _is_bias(node, value):
        bias, node = node, only_consumer(node.outputs[0])
    limit = node if node is not None and is_zero_clip(node) else None
    return tuple(found for found in (bias, limit) if found is not None)


def _moved(form: Form) -> list[tuple[tuple[ir.Node, ...], ir.Value]]:
    """What is aggregated as it is, and with its heads joined."""
    moved: tuple[ir.Node, ...] = ()
    value = form.output
    found = [(moved, value)]
    while form.axis == 0:
        node = only_consumer(value)
        shape = static_shape(node.outputs[0]) if node is not None else None
        if node is None or not is_op(node, *_RESHAPES) or not shape:
            break
        if shape[0] != form.num_nodes:
            break
        moved, value = (*moved, node), node.outputs[0]
        found.append((moved, value))
    return found


def _is_bias(node: ir.Node, total: ir.Value) -> bool:
    """Whether a constant is added that is the same for every node."""
    shape = static_shape(total)
    if not is_op(node, "Add") or not shape or static_shape(node.outputs[0]) != shape:
        return False
    other = node.inputs[1] if node.inputs[0] is total else node.inputs[0]
    bias = float_constant(other)
    return (
        bias is not None
        and len(shape) > 1
        and bias.size in (1, shape[-1])
        and (bias.shape[-1:] in ((), (1,), shape[-1:]))
    )
