"""Make attention scores by one product: ReduceSum(Mul(x, a), -1) -> MatMul(x, A).

Exporters of graph attention write the score of each head as a sum over its channels, weighted
by a constant: two operators in float, and a tensor as large as the features between them. Side
by side the weights of all heads are a matrix with one block for each head, so the scores are a
linear layer like any other: a product of integers, summed in int32.

Only scores that a softmax over edges reads: elsewhere the zeros beside the blocks could cost
more than they save.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import NameSource, add_constant, constant_array, float_constant
from octavo.passes.message_passing.find import find_message_passing
from octavo.passes.message_passing.segments import is_reducing_scatter
from octavo.passes.wiring import (
    is_float,
    is_op,
    only_consumer,
    produced_by,
    replace_node,
    static_shape,
)

# Between the sum over channels and the softmax these keep a score a score.
_BETWEEN = (
    "Add", "Gather", "GatherND", "LeakyRelu", "Mul", "Relu", "Reshape", "Slice", "Squeeze",
    "Tanh", "Transpose", "Unsqueeze",
)  # fmt: skip


class MultiplyScores(ir.passes.InPlacePass):
    """Make the scores of every softmax over edges by products."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        if not any(is_reducing_scatter(node) for node in graph):
            return ir.passes.PassResult(model, modified=False)
        sums = [node for node in _score_sums(graph) if _rewrite(graph, names, node)]
        return ir.passes.PassResult(model, modified=bool(sums))


def _score_sums(graph: ir.Graph) -> list[ir.Node]:
    """The sums that scores are made of, in the order met."""
    found: dict[ir.Node, None] = {}
    seen: set[ir.Value] = set()
    pending = [
        passing.softmax.scores
        for passing in find_message_passing(graph)
        if passing.softmax is not None
    ]
    while pending:
        value = pending.pop()
        node = value.producer()
        if value in seen or node is None:
            continue
        seen.add(value)
        if is_op(node, "ReduceSum"):
            found[node] = None
        elif is_op(node, *_BETWEEN):
            pending += [v for v in node.inputs if v is not None and is_float(v)]
    return list(found)


def _rewrite(graph: ir.Graph, names: NameSource, total: ir.Node) -> bool:
    product = produced_by(total.inputs[0], "Mul")
    shape = static_shape(total.inputs[0])
    if product is None or shape is None or len(shape) < 2 or not _is_over_last(total, shape):
        return False
    if only_consumer(product.outputs[0]) is not total:
        return False
    operands = _operands(product, shape)
    if operands is None:
        return False
    x, blocks = operands
    num_heads = len(blocks)
    matrix = add_constant(graph, names, f"{product.name}_blocks", _block_diagonal(blocks))
    rows = _flat(graph, names, x, total, num_heads)
    rows_shape = static_shape(rows)
    assert rows_shape is not None  # made of static shapes
    scores_shape = (*rows_shape[:-1], num_heads)
    wanted = static_shape(total.outputs[0])
    if wanted == scores_shape:
        replace_node(graph, names, total, "MatMul", [rows, matrix])
        return True
    matmul = ir.node("MatMul", [rows, matrix], name=names.fresh(f"{total.name}_product"))
    scores = matmul.outputs[0]
    scores.name = names.fresh(f"{total.outputs[0].name}_product")
    scores.dtype, scores.shape = ir.DataType.FLOAT, ir.Shape(scores_shape)
    graph.insert_before(total, matmul)
    target = add_constant(
        graph, names, f"{total.name}_shape", np.array(wanted or (), np.int64)
    )
    replace_node(graph, names, total, "Reshape", [scores, target], {"allowzero": 1})
    return True


def _is_over_last(total: ir.Node, shape: tuple[int, ...]) -> bool:
    axes = constant_array(total.inputs[1]) if len(total.inputs) > 1 else None
    return (
        axes is not None
        and axes.size == 1
        and int(axes.item()) % len(shape) == (len(shape) - 1)
    )


def _operands(
    product: ir.Node, shape: tuple[int, ...]
) -> tuple[ir.Value, NDArray[np.float32]] | None:
    """What is weighted, (..., heads, channels), and the weights (heads, channels)."""
    for x, weight in (product.inputs, product.inputs[::-1]):
        array = float_constant(weight)
        if x is None or array is None or not is_float(x) or static_shape(x) != shape:
            continue
        # The same weights for every node, of each head alone.
        if any(size != 1 for size in array.shape[:-2]) or array.shape[-1:] != shape[-1:]:
            continue
        heads = array.shape[-2] if array.ndim > 1 else 1
        if len(shape) == 2 and heads == 1:
            return x, array.reshape(1, -1)
        if len(shape) > 2 and heads in (1, shape[-2]):
            wide = np.broadcast_to(array.reshape(heads, -1), shape[-2:])
            return x, np.ascontiguousarray(wide)
    return None


def _block_diagonal(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(heads, channels) as (heads * channels, heads): column h has the weights of head h."""
    num_heads, num_channels = blocks.shape
    matrix = np.zeros((num_heads, num_channels, num_heads), np.float32)
    matrix[np.arange(num_heads), :, np.arange(num_heads)] = blocks
    return matrix.reshape(-1, num_heads)


def _flat(
    graph: ir.Graph, names: NameSource, x: ir.Value, before: ir.Node, num_heads: int
) -> ir.Value:
    """The heads of ``x`` side by side: what was split into them where that is at hand."""
    shape = static_shape(x)
    assert shape is not None  # _operands compared it
    if len(shape) == 2:
        return x
    flat_shape = (*shape[:-2], num_heads * shape[-1])
    split = produced_by(x, "Reshape")
    if split is not None and static_shape(split.inputs[0]) == flat_shape:
        source = split.inputs[0]
        assert source is not None
        return source
    target = add_constant(graph, names, f"{x.name}_flat_shape", np.array(flat_shape, np.int64))
    node = ir.node(
        "Reshape", [x, target], {"allowzero": 1}, name=names.fresh(f"{x.name}_flatten")
    )
    flat = node.outputs[0]
    flat.name = names.fresh(f"{x.name}_flat")
    flat.dtype, flat.shape = ir.DataType.FLOAT, ir.Shape(flat_shape)
    graph.insert_before(before, node)
    return flat
