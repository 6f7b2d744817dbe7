"""Elementwise nodes in the storage order of what they read, instead of row-major.

TVM knows dense row-major buffers only. Where every operator of an island is elementwise, the
axes can be renamed consistently: the island is compiled for values whose axes are permuted to
lie as the bytes do, and nothing has to be copied before it or behind it.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context
from octavo.compiler.lowering.qdq_graph import shape_of
from octavo.compiler.lowering.tensor import Order, Shape, identity
from octavo.passes.elementwise import ELEMENTWISE_OP_TYPES
from octavo.passes.wiring import is_op

# PRelu is left out: TVM looks for the channels of its slope on axis 1.
ANY_ORDER = frozenset(ELEMENTWISE_OP_TYPES) - {"PRelu"} | {
    "And", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "Equal", "Greater",
    "GreaterOrEqual", "Identity", "IsInf", "IsNaN", "Less", "LessOrEqual", "Mean", "Mod",
    "Not", "Or", "Sum", "Where", "Xor",
}  # fmt: skip


def storage_order(ctx: Context, nodes: Sequence[ir.Node]) -> Order | None:
    """Order of axes in which an island needs no copies.

    Args:
        ctx: Knows where the values are that the island reads.
        nodes: The island, in graph order.

    Returns:
        The order of its largest input; None where that is row-major, or where a node gives
        the axes a meaning.
    """
    if not all(is_op(node, *ANY_ORDER) and _has_scalar_bounds(node) for node in nodes):
        return None
    produced = {output for node in nodes for output in node.outputs}
    read = dict.fromkeys(v for node in nodes for v in node.inputs if v is not None)
    rank = max(len(shape_of(v)) for v in [*read, *produced])
    sources = [
        ctx.tensor(v)
        for v in read
        if v not in produced and v.const_value is None and len(shape_of(v)) == rank
    ]
    if not sources:
        return None
    largest = max(sources, key=lambda tensor: tensor.num_elements)
    if 0 in largest.strides or largest.order == identity(rank):
        return None
    return largest.order


def _has_scalar_bounds(node: ir.Node) -> bool:
    """Whether the bounds of a Clip are scalars, which have no axes to permute."""
    bounds = [v for v in node.inputs[1:] if v is not None] if node.op_type == "Clip" else []
    return all(not shape_of(v) for v in bounds)


def order_of(shape: tuple[int, ...], order: Order) -> Order:
    """The same order for a value of lower rank: broadcasting adds axes in front."""
    lead = len(order) - len(shape)
    return tuple(axis - lead for axis in order if axis >= lead)


def permuted(
    nodes: Sequence[ir.Node], outputs: Sequence[ir.Value], order: Order
) -> tuple[list[ir.Node], list[ir.Value]]:
    """Copy an island with every value's axes in ``order``, and as few axes as can be.

    Args:
        nodes: For which ``storage_order`` found the order.
        outputs: Values that are needed outside.
        order: Axes from outermost to innermost, of the highest rank in the island.

    Returns:
        Nodes and outputs under their names; shapes are those of memory.
    """
    values = dict.fromkeys(v for n in nodes for v in (*n.inputs, *n.outputs) if v is not None)
    shapes = {value: _stored_shape(value, order) for value in values if shape_of(value)}
    runs = _joined_axes(list(shapes.values()))
    copies = {value: _copy(value, shapes.get(value), runs, order) for value in values}
    return [
        ir.Node(
            node.domain,
            node.op_type,
            [None if v is None else copies[v] for v in node.inputs],
            list(node.attributes.values()),
            overload=node.overload,
            outputs=[copies[v] for v in node.outputs],
            version=node.version,
            name=node.name,
        )
        for node in nodes
    ], [copies[v] for v in outputs]


def _stored_shape(value: ir.Value, order: Order) -> Shape:
    shape = shape_of(value)
    full = (1,) * (len(order) - len(shape)) + shape
    return tuple(full[axis] for axis in order)


def _joined_axes(shapes: Sequence[Shape]) -> list[list[int]]:
    """Runs of axes that are one loop: no value is broadcast along a part of a run."""
    runs: list[list[int]] = [[]]
    of_run = None
    for axis, sizes in enumerate(zip(*shapes, strict=True)):
        extent = max(sizes)
        is_repeated = tuple(size != extent for size in sizes)
        if extent > 1:  # an axis of one element joins any run
            if of_run not in (None, is_repeated):
                runs.append([])
            of_run = is_repeated
        runs[-1].append(axis)
    return runs


def _copy(
    value: ir.Value, shape: Shape | None, runs: Sequence[Sequence[int]], order: Order
) -> ir.Value:
    """A value of the same name; a scalar stays one, for some operators insist on it."""
    tensor = value.const_value
    if shape is None:
        return ir.Value(
            name=value.name, shape=value.shape, type=value.type, const_value=tensor
        )
    new = tuple(prod(shape[axis] for axis in run) for run in runs)
    if tensor is not None:
        lead = (1,) * (len(order) - len(shape_of(value)))
        array = tensor.numpy().reshape(lead + shape_of(value)).transpose(order)
        tensor = ir.Tensor(
            np.ascontiguousarray(array).reshape(new), dtype=tensor.dtype, name=value.name
        )
    return ir.Value(name=value.name, shape=ir.Shape(new), type=value.type, const_value=tensor)
