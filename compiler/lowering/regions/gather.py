"""Gather along one axis, from quantized or other tensors; the indices may be computed.

Constant indices at equal distances are a slice, which costs nothing. GatherND of whole rows is
the same along the first axis.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.qdq_graph import constant, int_attribute, operand, shape_of
from octavo.compiler.lowering.tensor import Tensor, identity
from octavo.compiler.lowering.view import QdqView, gathers_rows
from octavo.targets.ops.gather import Gather


def match(node: ir.Node, view: QdqView) -> Region | None:
    """Gather of integers commutes with dequantization."""
    x, indices = operand(node, 0), operand(node, 1)
    by_rows = gathers_rows(node)
    if not (by_rows or node.op_type == "Gather") or x is None or indices is None:
        return None

    def emit(ctx: Context) -> None:
        is_integer = view.is_dequantized(node.outputs[0])
        origin = Region((node,), emit).origin("" if is_integer else view.float_reason(node))
        table = ctx.tensor(x)
        axis = 0 if by_rows else int_attribute(node, "axis", 0) % table.rank
        known = constant(indices)
        if known is not None and by_rows:
            known = known.reshape(known.shape[:-1])
        progression = None if known is None else _progression(known, table.shape[axis])
        if known is not None and progression is not None:
            ctx.define(node.outputs[0], _sliced(table, axis, progression, known.ndim))
            return
        table = ctx.dense(table, identity(table.rank), origin)
        at = _indices(ctx, indices)
        shape = shape_of(node.outputs[0])
        output = replace(
            ctx.new(origin.name, table.dtype, shape, identity(len(shape))),
            scale=table.scale,
            zero_point=table.zero_point,
        )
        ctx.define(node.outputs[0], output)
        op = Gather(
            outer=int(np.prod(table.shape[:axis], dtype=np.int64)),
            extent=table.shape[axis],
            inner=int(np.prod(table.shape[axis + 1 :], dtype=np.int64)),
            count=at.num_elements,
            dtype=table.dtype,
            index_dtype=at.dtype,
            index_is_constant=known is not None,
        )
        ctx.builder.call(
            op, [table, at], {}, [output], origin, "int8" if is_integer else "float32"
        )

    return Region((node,), emit)


def _indices(ctx: Context, value: ir.Value) -> Tensor:
    """The indices without gaps: a row of a matrix of them where it lies."""
    tensor = ctx.tensor(value)
    order = identity(tensor.rank)
    if replace(tensor, offset=0).is_dense(order):
        return tensor.addressed_directly()
    return ctx.plain(value, order)


def _progression(indices: NDArray[Any], size: int) -> tuple[int, int, int] | None:
    """Start, count and step of indices at equal distances, at most one axis of them."""
    flat = np.where(indices < 0, indices + size, indices).reshape(-1)
    if indices.ndim > 1 or flat.size == 0 or flat.min() < 0 or flat.max() >= size:
        return None
    steps = np.diff(flat)
    if steps.size and (steps != steps[0]).any():
        return None
    return int(flat[0]), int(flat.size), int(steps[0]) if steps.size else 1


def _sliced(table: Tensor, axis: int, run: tuple[int, int, int], rank: int) -> Tensor:
    """The chosen elements as a view; a scalar index drops the axis."""
    view = table.sliced(axis, *run)
    if rank == 1:
        return view
    dropped = view.reshaped(view.shape[:axis] + view.shape[axis + 1 :])
    assert dropped is not None
    return dropped
