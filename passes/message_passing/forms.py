"""What one kernel computes of an aggregation, and of which operands: one form of a few.

The quantizer puts scales on exactly these operands and on the result, with nothing rounded in
between; lowering reads the same record of the quantized graph. Neither decides for itself.
"""

from dataclasses import dataclass
from enum import Enum

import onnx_ir as ir

from octavo.passes.message_passing.edge_rows import (
    Weighted,
    gathered_rows,
    pair_of_rows,
    through_moves,
    weighted_rows,
)
from octavo.passes.message_passing.find import recognize
from octavo.passes.message_passing.node_index import NodeIndex
from octavo.passes.message_passing.private_nodes import read_only_inside
from octavo.passes.message_passing.regions import MessagePassing, Readout
from octavo.passes.message_passing.score_forms import Scores, scores_of
from octavo.passes.message_passing.segments import Aggregation, Segments, match_segments
from octavo.passes.wiring import static_shape


class Kind(Enum):
    """What a message is.

    ROWS: A row of features, times a coefficient where there are some.
    PAIRS: f(row of the target + row of the source), f nothing or Relu.
    MESSAGES: Anything, computed for each edge before.
    PRODUCT: A row of features times a constant of the adjacency matrix.
    """

    ROWS = "rows"
    PAIRS = "pairs"
    MESSAGES = "messages"
    PRODUCT = "product"


@dataclass(frozen=True, eq=False)
class Form:
    """One aggregation as a kernel computes it.

    Attributes:
        kind: What a message is.
        head: The scatter or the product: the name of the region.
        aggregation: ADD, MEAN, MAX or MIN.
        features: What carries scales: (x,) (sources, ...); of PAIRS (a, b), a (targets, ...)
            read at targets and b at sources, which share a scale; the messages (edges, ...) of
            MESSAGES. As the graph has them: the output of DequantizeLinear if quantized.
        sources: Row of x of each edge; None where nothing is gathered, and of a PRODUCT.
        targets: Node of each edge; None of a PRODUCT.
        coefficients: (edges, ...) a number for each edge and head, or the adjacency matrix of
            a PRODUCT; None without. What carries their scale, as the graph has it.
        heads: Coefficients of one edge; channels are split evenly among them, in order.
        scores: What the softmax that makes the coefficients reads; None where none makes them.
        has_relu: Whether messages of PAIRS are limited to at least 0.
        from_zero: The number 0 takes part in a maximum or minimum.
        num_nodes: Nodes that receive.
        num_sources: Rows that are gathered from; of MESSAGES the edges.
        num_edges: Edges, the most where their number is given at run time.
        axis: Where nodes are in the result, and sources in features; 0 but for a PRODUCT.
        nodes: What the kernel computes and nothing else reads, in graph order; no quantizers
            in between but of coefficients.
        output: (..., nodes, ...).
    """

    kind: Kind
    head: ir.Node
    aggregation: Aggregation
    features: tuple[ir.Value, ...]
    sources: NodeIndex | None
    targets: NodeIndex | None
    coefficients: ir.Value | None
    heads: int
    scores: Scores | None
    has_relu: bool
    from_zero: bool
    num_nodes: int
    num_sources: int
    num_edges: int
    axis: int
    nodes: tuple[ir.Node, ...]
    output: ir.Value


def aggregation_forms(graph: ir.Graph) -> tuple[Form, ...]:
    """Every aggregation of a graph that a kernel computes, in graph order.

    Args:
        graph: Topologically sorted, static shapes; float or quantized.
    """
    network = recognize(graph)
    found = [
        *map(form_of, network.passings),
        *map(readout_form, network.readouts),
        *map(degree_form, network.degrees),
    ]
    order = {node: i for i, node in enumerate(graph)}
    forms = [form for form in found if not isinstance(form, str)]
    return tuple(sorted(forms, key=lambda form: order[form.head]))


def form_of(passing: MessagePassing) -> Form | str:
    """The form of message passing, or why no kernel computes it.

    Args:
        passing: From ``recognize``, of a float graph or a quantized one.
    """
    if passing.adjacency.targets is None:
        return _product(passing)
    segments = match_segments(passing.head)
    if isinstance(segments, str):
        return segments
    return _form(segments, passing.aggregation, passing.nodes, passing)


def readout_form(readout: Readout) -> Form | str:
    """The form of a readout: its nodes are the messages, their graphs are who receives.

    Args:
        readout: From ``recognize``.
    """
    segments = match_segments(readout.node) if readout.index is not None else ""
    if isinstance(segments, str):
        return segments or "all nodes are of one graph"
    return _form(segments, readout.aggregation, readout.nodes, None)


def degree_form(head: ir.Node) -> Form | str:
    """The form of a scatter that adds a constant for each edge.

    Args:
        head: One of ``GraphNetwork.degrees``.
    """
    segments = match_segments(head)
    if isinstance(segments, str):
        return segments
    return _form(segments, segments.aggregation, segments.nodes, None)


def _form(
    segments: Segments,
    aggregation: Aggregation,
    nodes: tuple[ir.Node, ...],
    passing: MessagePassing | None,
) -> Form | str:
    problem = _problem(segments, aggregation)
    if problem:
        return problem
    found = None if passing is None else _of_nodes(segments, aggregation, passing)
    kind, features, sources, coefficients, scores, inside = found or (
        Kind.MESSAGES, (segments.values,), None, None, None, ()
    )  # fmt: skip
    if kind is Kind.MESSAGES:
        num_sources = segments.index.length
    else:
        num_sources = (static_shape(features[-1]) or (0,))[0]
    root = nodes[-1]
    own = read_only_inside({*inside, *segments.nodes, root}.intersection(nodes), root)
    return Form(
        kind=kind,
        head=segments.nodes[-1],
        aggregation=aggregation,
        features=features,
        sources=sources,
        targets=segments.index,
        coefficients=None if coefficients is None else coefficients.value,
        heads=1 if coefficients is None else coefficients.heads,
        scores=scores,
        has_relu=any(node.op_type == "Relu" for node in inside),
        from_zero=segments.keeps_fill,
        num_nodes=segments.num_nodes,
        num_sources=num_sources,
        num_edges=segments.index.length,
        axis=0,
        nodes=tuple(node for node in nodes if node in own),
        output=root.outputs[0],
    )


_Found = tuple[
    Kind, tuple[ir.Value, ...], NodeIndex | None, Weighted | None, Scores | None,
    tuple[ir.Node, ...],
]  # fmt: skip


def _of_nodes(
    segments: Segments, aggregation: Aggregation, passing: MessagePassing
) -> _Found | None:
    """Messages that are made of rows of nodes as they are, or None."""
    value, moves = through_moves(segments.values, segments.index.length)
    rows = gathered_rows(value, passing.adjacency.sources)
    if rows is not None:
        inside = (*moves, *rows.nodes)
        return Kind.ROWS, (rows.features,), passing.adjacency.sources, None, None, inside
    if aggregation not in (Aggregation.ADD, Aggregation.MEAN):
        return None
    weighted = weighted_rows(value, passing.adjacency.sources)
    if weighted is not None:
        scores = scores_of(passing, weighted.value)
        inside = (*moves, *weighted.nodes, *(scores.nodes if scores is not None else ()))
        sources = passing.adjacency.sources
        return Kind.ROWS, (weighted.features,), sources, weighted, scores, inside
    pair = pair_of_rows(value, passing.adjacency.sources, segments.index)
    if pair is not None:
        target, source, between = pair
        features = (target.features, source.features)
        inside = (*moves, *between)
        return Kind.PAIRS, features, passing.adjacency.sources, None, None, inside
    return None


def _problem(segments: Segments, aggregation: Aggregation) -> str:
    if aggregation is Aggregation.MUL:
        return "no kernel multiplies the messages of a node"
    if 0 in (static_shape(segments.values) or ()) or not segments.num_nodes:
        return "there is nothing to aggregate"
    if segments.axis != 0:
        return f"nodes are counted along axis {segments.axis}"
    if segments.fill != 0.0:
        return f"nodes without edges have {segments.fill:g}"
    if segments.values.dtype != ir.DataType.FLOAT:
        return f"messages are {segments.values.dtype}"
    integers = (ir.DataType.INT32, ir.DataType.INT64)
    if segments.index.origin.dtype not in integers:
        return "node numbers are no integers of 32 or 64 bits"
    return ""


def _product(passing: MessagePassing) -> Form:
    adjacency = passing.adjacency
    return Form(
        kind=Kind.PRODUCT,
        head=passing.head,
        aggregation=Aggregation.ADD,
        features=passing.features,
        sources=None,
        targets=None,
        coefficients=adjacency.matrix,
        heads=1,
        scores=None,
        has_relu=False,
        from_zero=False,
        num_nodes=adjacency.num_targets,
        num_sources=adjacency.num_sources,
        num_edges=adjacency.num_edges,
        axis=passing.node_axis,
        nodes=passing.nodes,
        output=passing.aggregated,
    )
