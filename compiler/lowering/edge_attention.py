"""The softmax over the edges of a node, in the order that aggregations read."""

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.builder import Origin
from octavo.compiler.lowering.context import Context, origin_of
from octavo.compiler.lowering.edge_factors import EdgeFactors
from octavo.compiler.lowering.edge_lists import EdgeList, EdgeTensors
from octavo.compiler.lowering.qdq_graph import shape_of
from octavo.compiler.lowering.tensor import Tensor, identity
from octavo.compiler.lowering.view import QdqView
from octavo.passes.message_passing.forms import Form
from octavo.passes.message_passing.score_forms import Scores
from octavo.targets.ops.edge_softmax import EdgeSoftmax


def scores_read(scores: Scores) -> tuple[ir.Value, ...]:
    """Values that the softmax computes of."""
    found = (scores.of_edges, scores.of_source, scores.of_target)
    return tuple(value for value in found if value is not None)


def attention_tensor(
    ctx: Context,
    view: QdqView,
    form: Form,
    edges: EdgeList,
    order: EdgeTensors,
    factors: EdgeFactors | None,
) -> Tensor:
    """Emit the softmax: coefficients (edges, heads) in the order of nodes.

    Args:
        ctx: The program.
        view: The graph.
        form: With scores.
        edges: Its edges.
        order: The same as inputs.
        factors: What the coefficients are rounded to; None for float.
    """
    scores = form.scores
    assert scores is not None
    values = scores_read(scores)
    is_integer = all(view.is_dequantized(value) for value in values)
    read = [_dense(ctx, value, is_integer=is_integer) for value in values]
    names = ("score",) if scores.of_edges is not None else ("source", "target")
    arrays = {}
    if is_integer:
        for name, tensor in zip(names, read, strict=True):
            arrays[f"{name}_scale"] = np.array([tensor.scale], np.float32)
            if scores.of_edges is None:
                arrays[f"{name}_zero_point"] = np.array([tensor.zero_point], np.int32)
    out_dtype, largest = "float32", 255
    if factors is not None:
        out_dtype = "uint8"
        largest = int(np.iinfo(factors.dtype).max)
        arrays["out_inverse"] = np.array([1 / np.float32(factors.scale)], np.float32)
    op = EdgeSoftmax(
        nodes=form.num_nodes,
        sources=form.num_sources if scores.of_edges is None else 1,
        edges=form.num_edges,
        heads=form.heads,
        form="ends" if scores.of_edges is None else "edges",
        dtype=read[0].dtype,
        out_dtype=out_dtype,
        slope=scores.slope,
        epsilon=scores.added,
        largest=largest,
    )
    where = order.ids if scores.of_edges is not None else order.places
    assert where is not None  # the list of edges was told so
    name = f"{form.head.name}.attention"
    made = ctx.new(name, out_dtype, (edges.num_edges, form.heads), identity(2))
    told = origin_of(scores.nodes)
    origin = Origin(name, told.op_types, told.nodes)
    ctx.builder.call(
        op,
        [*read, order.offsets, where],
        arrays,
        [made],
        origin,
        "float32" if factors is None else "int8",
    )
    return made


def _dense(ctx: Context, value: ir.Value, *, is_integer: bool) -> Tensor:
    rank = len(shape_of(value))
    if not is_integer:
        return ctx.float_tensor(value, identity(rank))
    return ctx.dense(ctx.tensor(value), identity(rank), origin_of((_maker(value),)))


def _maker(value: ir.Value) -> ir.Node:
    node = value.producer()
    assert node is not None  # a dequantized value is made by a node
    return node
