"""AveragePool and reductions of float tensors, where they lie: usually channels last."""

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.qdq_graph import int_attribute, operand, shape_of
from octavo.compiler.lowering.regions.pool import (
    REDUCTIONS,
    around,
    element_counts,
    reduced_axes,
    slice_strides,
    window_fields,
)
from octavo.compiler.lowering.tensor import Order, Tensor, identity
from octavo.compiler.lowering.view import QdqView
from octavo.targets.ops.pool import AveragePool, Reduce
from octavo.targets.ops.requantize import Requantize

REAL = Requantize(dtype="float32")


def _is_float(node: ir.Node) -> bool:
    x = operand(node, 0)
    return (
        x is not None
        and x.dtype == ir.DataType.FLOAT
        and len(node.outputs) == 1
        and 0 not in shape_of(x)
    )


def match_average_pool(node: ir.Node, view: QdqView) -> Region | None:
    """AveragePool of one or two spatial axes."""
    x = operand(node, 0)
    if node.op_type != "AveragePool" or x is None or not _is_float(node):
        return None
    shape, out_shape = shape_of(x), shape_of(node.outputs[0])
    if len(shape) not in (3, 4):
        return None
    reason = view.float_reason(node)

    def emit(ctx: Context) -> None:
        origin = Region((node,), emit).origin(reason)
        source = ctx.float_pixels(x)
        output = ctx.new_pixels(node.outputs[0], None)
        includes_pad = bool(int_attribute(node, "count_include_pad", 0))
        window = window_fields(node, shape, out_shape)
        multiplier = (1 / element_counts(window, includes_pad)).astype(np.float32)
        op = AveragePool(
            **window,
            **slice_strides(source, output),
            dtype="float32",
            count_include_pad=includes_pad,
            requantize=REAL,
        )
        ctx.builder.call(op, [source], {"multiplier": multiplier}, [output], origin, "float32")

    return Region((node,), emit)


def match_reduce(node: ir.Node, view: QdqView) -> Region | None:
    """Global pool or Reduce over neighbouring axes."""
    kind, x = REDUCTIONS.get(node.op_type), operand(node, 0)
    if kind is None or x is None or not _is_float(node):
        return None
    axes = reduced_axes(node, len(shape_of(x)))
    if not axes or axes != tuple(range(axes[0], axes[-1] + 1)):
        return None
    reason = view.float_reason(node)

    def emit(ctx: Context) -> None:
        source, order = _reducible(ctx, x, axes)
        extent = int(np.prod([source.shape[a] for a in axes]))
        outer, inner = around(order, axes, source.shape)
        result = node.outputs[0]
        keeps_axes = len(shape_of(result)) == source.rank
        output = ctx.new_float(result, order if keeps_axes else _without(order, axes))
        scale = 1 / extent if kind == "mean" else 1.0
        op = Reduce(
            kind=kind,
            outer=outer,
            extent=extent,
            inner=inner,
            dtype="float32",
            requantize=REAL,
        )
        ctx.builder.call(
            op,
            [source],
            {"multiplier": np.array([scale], np.float32)},
            [output],
            Region((node,), emit).origin(reason),
            "float32",
        )

    return Region((node,), emit)


def _reducible(ctx: Context, x: ir.Value, axes: tuple[int, ...]) -> tuple[Tensor, Order]:
    """A value in an order, its own if possible, with the reduced axes next to each other."""
    tensor = ctx.float_tensor(x)
    order = tensor.order
    places = sorted(order.index(axis) for axis in axes)
    if 0 in tensor.strides or places[-1] - places[0] >= len(places):
        order = identity(tensor.rank)
    return ctx.float_tensor(x, order), order


def _without(order: Order, axes: tuple[int, ...]) -> Order:
    """The order of the axes that remain, by their new numbers."""
    kept = [axis for axis in order if axis not in axes]
    return tuple(sorted(kept).index(axis) for axis in kept)
