"""Rows that are not in use, where something else than message passing reads their indices.

Kernels of message passing stop at the count. All other operators compute every row up to the
largest number of them, used or not; what comes out of the others is never looked at, but the
indices of the others have to name rows that exist. Where rows to pick from are counted
themselves, indices have to be below that count: behind it is memory of other tensors.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import onnx_ir as ir

from octavo.compiler.counted_arrays import METADATA_KEY, CountedDimension
from octavo.compiler.lowering.builder import Origin
from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.edge_tensors import index_tensor
from octavo.compiler.lowering.qdq_graph import dtype_of, shape_of
from octavo.compiler.lowering.tensor import identity
from octavo.errors import LoweringError
from octavo.passes.message_passing.counted_axes import CountedAxis, counted_axes
from octavo.passes.message_passing.counts import Count, counts_of
from octavo.passes.message_passing.edge_trace import GATHERS, match_gather
from octavo.passes.message_passing.node_index import NodeIndex
from octavo.passes.message_passing.segments import match_segments
from octavo.passes.wiring import int_attribute, is_op, static_shape
from octavo.targets.ops.index_check import IndexCheck

SCATTERS = ("ScatterElements", "ScatterND")
_INTEGERS = (ir.DataType.INT64, ir.DataType.INT32)
Known = Mapping[ir.Value, CountedAxis]


def check_given_rows(
    ctx: Context, graph: ir.Graph, last_of: Mapping[ir.Node, Region], needed: set[ir.Node]
) -> None:
    """Append the steps that check and clear indices; before any that reads them.

    Args:
        ctx: Knows the inputs of the graph.
        graph: With counted dimensions, or without.
        last_of: Regions by their last node; those that say what they read stop at counts.
        needed: Nodes that are computed.

    Raises:
        LoweringError: A node is computed that would read rows that are not in use.
    """
    if not counts_of(graph):
        return
    known = counted_axes(graph)
    regions = [region for region in last_of.values() if region.reads is not None]
    stopping = {node for region in regions for node in region.nodes}
    _check_picked(ctx, graph, known)
    others = [node for node in graph if node in needed and node not in stopping]
    cleared: dict[ir.Value, None] = {}
    for node in others:
        if is_op(node, *SCATTERS) and any(value in known for value in node.inputs[1:]):
            raise LoweringError(_no_kernel(node, known))
        index = node.inputs[1] if is_op(node, *GATHERS) else None
        if index is not None and index in known:
            cleared |= dict.fromkeys(_given_integers(index, known))
    for value in cleared:
        _clear(ctx, value, known[value], graph)


def counts_record(graph: ir.Graph) -> dict[str, Any]:
    """What a program's metadata says of counted dimensions; nothing where there are none."""
    counts = counts_of(graph)
    if not counts:
        return {}
    dimensions = [
        CountedDimension(c.dimension, c.input, c.maximum, c.inputs, c.outputs) for c in counts
    ]
    return {METADATA_KEY: [dimension.record() for dimension in dimensions]}


def _no_kernel(node: ir.Node, known: Known) -> str:
    rows = [value for value in node.inputs[1:] if value is not None and value in known]
    dimension = known[rows[0]].count.dimension
    return (
        f"{node.op_type} '{node.name}': there is no kernel for it that stops at the rows of"
        f" dimension '{dimension}' in use; its size has to be fixed (--shape)"
    )


def _given_integers(value: ir.Value, known: Known) -> list[ir.Value]:
    """Inputs of the graph with counted rows that an index is made of."""
    pending: list[ir.Value | None] = [value]
    seen: set[ir.Value] = set()
    while pending:
        found = pending.pop()
        if found is None or found in seen:
            continue
        seen.add(found)
        node = found.producer()
        pending += [] if node is None else list(node.inputs)
    given = [v for v in seen if v.is_graph_input() and v in known]
    return sorted((v for v in given if v.dtype in _INTEGERS), key=lambda v: v.name or "")


def _clear(ctx: Context, value: ir.Value, found: CountedAxis, graph: ir.Graph) -> None:
    """Let every later step read a copy of an input with zeros behind the count."""
    shape = shape_of(value)
    op = IndexCheck(
        outer=prod(shape[: found.axis]),
        rows=shape[found.axis],
        inner=prod(shape[found.axis + 1 :]),
        index_dtype=dtype_of(value),
    )
    cleared = ctx.new(f"{value.name}.in_use", op.index_dtype, shape, identity(len(shape)))
    inputs = [ctx.tensor(value), ctx.tensor(_input(graph, found.count))]
    ctx.builder.call(op, inputs, {}, [cleared], _origin(value, "in_use"), "int8")
    ctx.define(value, cleared)


def _check_picked(ctx: Context, graph: ir.Graph, known: Known) -> None:
    """Check what picks rows of a counted dimension, each index once."""
    checked: dict[tuple[ir.Value, int | None, str], None] = {}
    for node in graph:
        picked = known.get(node.inputs[0]) if node.inputs and node.inputs[0] else None
        if picked is None or picked.axis != _picked_axis(node):
            continue
        index = _index_of(node, known)
        if index is None or not _is_given(index):
            raise LoweringError(
                f"{node.op_type} '{node.name}' picks rows of dimension"
                f" '{picked.count.dimension}' by an index that is computed; only one that is"
                " an input, or a part of it, can be checked against the rows in use"
            )
        key = (index.origin, index.row, picked.count.dimension)
        if key not in checked:
            checked[key] = None
            _check(ctx, index, picked.count, known, graph)


def _is_given(index: NodeIndex) -> bool:
    """Whether the numbers are integers that an input or a constant holds."""
    given = index.origin.is_graph_input() and index.origin.dtype in _INTEGERS
    return given or index.numbers() is not None


def _picked_axis(node: ir.Node) -> int | None:
    """The axis along which a Gather or a scatter picks rows of its first operand."""
    if is_op(node, "GatherND", "ScatterND"):
        return 0
    if is_op(node, *GATHERS, *SCATTERS):
        return int_attribute(node, "axis", 0) % len(static_shape(node.inputs[0]) or (1,))
    return None


def _index_of(node: ir.Node, known: Known) -> NodeIndex | None:
    if is_op(node, *SCATTERS):
        segments = match_segments(node)
        return None if isinstance(segments, str) else segments.index
    found = known.get(node.outputs[0])
    gathered = None if found is None else match_gather(node, found.axis)
    return None if gathered is None else gathered.index


def _check(
    ctx: Context, index: NodeIndex, picked: Count, known: Known, graph: ir.Graph
) -> None:
    """Fail where an index in use is not below the number of rows in use."""
    counted = known.get(index.origin)
    op = IndexCheck(
        outer=1,
        rows=index.length,
        inner=1,
        index_dtype=dtype_of(index.origin),
        has_count=counted is not None,
        limit=picked.maximum,
        clears=False,
    )
    inputs = [index_tensor(ctx, index)]
    if counted is not None:
        inputs.append(ctx.tensor(_input(graph, counted.count)))
    inputs.append(ctx.tensor(_input(graph, picked)))
    row = "" if index.row is None else f"[{index.row}]"
    ctx.builder.call(op, inputs, {}, [], _origin(index.origin, f"check{row}"), "int8")


def _input(graph: ir.Graph, count: Count) -> ir.Value:
    return next(value for value in graph.inputs if value.name == count.input)


def _origin(value: ir.Value, what: str) -> Origin:
    return Origin(f"{value.name}.{what}")
