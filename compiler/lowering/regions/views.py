"""Operators that only move elements -> another address of the same bytes, nothing computed.

The integers behind a dequantized value move in its place. A Reshape that strides cannot
express costs one copy.
"""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context, Region, origin_of
from octavo.compiler.lowering.qdq_graph import (
    constant,
    int_attribute,
    ints_attribute,
    operand,
    shape_of,
    string_attribute,
)
from octavo.compiler.lowering.tensor import Tensor
from octavo.compiler.lowering.view import QdqView

RESHAPES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})


def match(node: ir.Node, view: QdqView) -> Region | None:
    """Any value -> Reshape | Transpose | Slice | ... of it."""
    del view
    plan, source = _plan(node), operand(node, 0)
    if plan is None or source is None:
        return None

    def emit(ctx: Context) -> None:
        tensor = ctx.tensor(source)
        origin = Region((node,), emit).origin()
        for output, result in zip(node.outputs, plan(ctx, tensor, origin.name), strict=True):
            ctx.define(output, result)

    return Region((node,), emit)


Plan = Callable[[Context, Tensor, str], list[Tensor]]


def _plan(node: ir.Node) -> Plan | None:
    if node.op_type in RESHAPES:
        return lambda ctx, x, name: [reshape(ctx, x, shape_of(node.outputs[0]), node)]
    if node.op_type == "Transpose":
        source = operand(node, 0)
        assert source is not None
        perm = ints_attribute(node, "perm", list(range(len(shape_of(source))))[::-1])
        return lambda ctx, x, name: [x.transposed(tuple(perm))]
    if node.op_type == "Expand":
        return lambda ctx, x, name: [x.expanded(shape_of(node.outputs[0]))]
    if node.op_type == "Split":
        return lambda ctx, x, name: _split(node, x)
    if node.op_type in ("DepthToSpace", "SpaceToDepth"):
        return lambda ctx, x, name: [_blocks(ctx, node, x)]
    if node.op_type == "Slice":
        return _slice_plan(node)
    return None


def reshape(ctx: Context, x: Tensor, shape: tuple[int, ...], node: ir.Node) -> Tensor:
    """View of another shape; copied first where strides cannot express it."""
    viewed = x.reshaped(shape)
    if viewed is None:
        origin = origin_of((node,))
        viewed = ctx.dense(x, x.reshape_order(shape), origin).reshaped(shape)
    assert viewed is not None
    return viewed


def _split(node: ir.Node, x: Tensor) -> list[Tensor]:
    axis = int_attribute(node, "axis", 0) % x.rank
    parts, start = [], 0
    for output in node.outputs:
        count = shape_of(output)[axis]
        parts.append(x.sliced(axis, start, count))
        start += count
    return parts


def _slice_plan(node: ir.Node) -> Plan | None:
    operands = [constant(v) if v is not None else None for v in node.inputs[1:]]
    given = [v is not None for v in node.inputs[1:]]
    if any(there and array is None for there, array in zip(given, operands, strict=True)):
        return None
    operands += [None] * (4 - len(operands))
    starts = np.asarray(operands[0]).reshape(-1).astype(np.int64)
    axes = np.arange(starts.size) if operands[2] is None else np.asarray(operands[2])
    steps = np.ones(starts.size, np.int64) if operands[3] is None else np.asarray(operands[3])
    out_shape = shape_of(node.outputs[0])

    def plan(ctx: Context, x: Tensor, name: str) -> list[Tensor]:
        del ctx, name
        for start, axis, step in zip(starts, axes.reshape(-1), steps.reshape(-1), strict=True):
            place, size = int(axis) % x.rank, x.shape[int(axis) % x.rank]
            first = int(start) + size if start < 0 else int(start)
            first = min(max(first, 0), size if step > 0 else size - 1)
            x = x.sliced(place, first, out_shape[place], int(step))
        return [x]

    return plan


def _blocks(ctx: Context, node: ir.Node, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    block = int_attribute(node, "blocksize", 1)
    if node.op_type == "SpaceToDepth":
        split = reshape(ctx, x, (n, c, h // block, block, w // block, block), node)
        moved = split.transposed((0, 3, 5, 1, 2, 4))
    elif string_attribute(node, "mode", "DCR") == "DCR":
        split = reshape(ctx, x, (n, block, block, c // block**2, h, w), node)
        moved = split.transposed((0, 3, 4, 1, 5, 2))
    else:
        split = reshape(ctx, x, (n, c // block**2, block, block, h, w), node)
        moved = split.transposed((0, 1, 4, 2, 5, 3))
    return reshape(ctx, moved, shape_of(node.outputs[0]), node)
