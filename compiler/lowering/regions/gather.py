"""Gather along one axis, from quantized or other tensors; the indices may be computed."""

from dataclasses import replace

import numpy as np
import onnx_ir as ir
from octavo.targets.ops.gather import Gather

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.qdq_graph import constant, int_attribute, operand, shape_of
from octavo.compiler.lowering.tensor import identity
from octavo.compiler.lowering.view import QdqView


def match(node: ir.Node, view: QdqView) -> Region | None:
    """Gather of integers commutes with dequantization."""
    x, indices = operand(node, 0), operand(node, 1)
    if node.op_type != "Gather" or x is None or indices is None:
        return None

    def emit(ctx: Context) -> None:
        origin = Region((node,), emit).origin()
        table = ctx.tensor(x)
        table = ctx.dense(table, identity(table.rank), origin)
        axis = int_attribute(node, "axis", 0) % table.rank
        known = constant(indices)
        at = ctx.plain(indices, identity(len(shape_of(indices))))
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
        is_integer = view.is_dequantized(node.outputs[0])
        ctx.builder.call(
            op, [table, at], {}, [output], origin, "int8" if is_integer else "float32"
        )

    return Region((node,), emit)
