"""Elementwise nodes in the storage order of what they read, instead of row-major.

TVM knows dense row-major buffers only. Where every operator of an island is elementwise, the
axes can be renamed consistently: the island is compiled for values whose axes are permuted to
lie as the bytes do, and nothing has to be copied before it or behind it.
"""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context
from octavo.compiler.lowering.qdq_graph import shape_of
from octavo.compiler.lowering.tensor import Order, identity
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
    """Copy an island with every value's axes in ``order``.

    Args:
        nodes: For which ``storage_order`` found the order.
        outputs: Values that are needed outside.
        order: Axes from outermost to innermost, of the highest rank in the island.

    Returns:
        Nodes and outputs under their names; shapes are those of memory.
    """
    known: dict[ir.Value, ir.Value] = {}

    def value(original: ir.Value) -> ir.Value:
        if original not in known:
            known[original] = _permuted_value(original, order)
        return known[original]

    copies = [
        ir.Node(
            node.domain,
            node.op_type,
            [None if v is None else value(v) for v in node.inputs],
            list(node.attributes.values()),
            overload=node.overload,
            outputs=[value(v) for v in node.outputs],
            version=node.version,
            name=node.name,
        )
        for node in nodes
    ]
    return copies, [value(v) for v in outputs]


def _permuted_value(value: ir.Value, order: Order) -> ir.Value:
    shape = shape_of(value)
    full = (1,) * (len(order) - len(shape)) + shape
    # Scalars broadcast whatever the axes are, and some operators insist on them.
    new = tuple(full[axis] for axis in order) if shape else ()
    tensor = value.const_value
    if tensor is not None and shape:
        array = tensor.numpy().reshape(full).transpose(order)
        tensor = ir.Tensor(np.ascontiguousarray(array), dtype=tensor.dtype, name=value.name)
    return ir.Value(name=value.name, shape=ir.Shape(new), type=value.type, const_value=tensor)
