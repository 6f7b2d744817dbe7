"""Checks in front of operators that TVM compiles and that pick by indices given at run time.

What TVM makes of them reads and writes wherever an index points. Kernels of ours check for
themselves, and constant indices are checked when a model is imported.
"""

from math import prod

import onnx_ir as ir

from octavo.compiler.lowering.context import Context, origin_of
from octavo.compiler.lowering.qdq_graph import constant, dtype_of, operand, shape_of
from octavo.compiler.lowering.tensor import identity
from octavo.passes.wiring import int_attribute, is_op
from octavo.targets.ops.index_bounds import IndexBounds

_INTEGERS = (ir.DataType.INT64, ir.DataType.INT32)


def check_indices(ctx: Context, node: ir.Node) -> None:
    """Append a step that fails where an index of a node is out of bounds.

    Args:
        ctx: Knows, or computes, the node's indices.
        node: Will be compiled by TVM; nothing is appended if no index is given at run time.
    """
    picked = _picked(node)
    if picked is None:
        return
    indices, limits = picked
    shape = shape_of(indices)
    if constant(indices) is not None or 0 in shape or indices.dtype not in _INTEGERS:
        return
    tensor = ctx.plain(indices, identity(len(shape)))
    op = IndexBounds(
        count=prod(shape) // len(limits), limits=limits, index_dtype=dtype_of(indices)
    )
    ctx.builder.call(op, [tensor], {}, [], origin_of((node,)), "int8")


def _picked(node: ir.Node) -> tuple[ir.Value, tuple[int, ...]] | None:
    """Indices of a node, and the sizes of the axes that a row of them picks from."""
    if is_op(node, "MaxUnpool"):
        indices, picked = operand(node, 1), shape_of(node.outputs[0])
        return None if indices is None else (indices, (prod(picked),))
    if is_op(node, "RoiAlign"):
        data, indices = operand(node, 0), operand(node, 2)
        return None if data is None or indices is None else (indices, shape_of(data)[:1])
    data, indices = operand(node, 0), operand(node, 1)
    if data is None or indices is None:
        return None
    shape = shape_of(data)
    if is_op(node, "Gather", "GatherElements", "ScatterElements"):
        axis = int_attribute(node, "axis", 0)
        return indices, (shape[axis],)
    if is_op(node, "GatherND", "ScatterND"):
        first = int_attribute(node, "batch_dims", 0) if is_op(node, "GatherND") else 0
        return indices, shape[first : first + shape_of(indices)[-1]]
    return None
