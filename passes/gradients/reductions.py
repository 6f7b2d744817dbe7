"""Derivatives of pools and of sums, means and maxima along axes."""

import math
from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.gradients.backward import Rule, no_rule_for, one_output
from octavo.passes.gradients.emitter import Emitter, shape_of
from octavo.passes.gradients.window import pool_window
from octavo.passes.wiring import int_attribute, ints_attribute


def _reduce_sum(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    dy, shape, kept = _kept(e, node, cotangents, position)
    share = e.op("Expand", dy, e.ints(shape))
    if node.op_type == "ReduceSum":
        return share
    return e.scaled(share, math.prod(kept) / math.prod(shape))


def _reduce_extreme(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    dy, _, kept = _kept(e, node, cotangents, position)
    chosen = e.op("Equal", node.inputs[0], e.reshaped(node.outputs[0], kept))
    return e.op("Where", chosen, dy, e.number(0.0))


def _kept(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> tuple[ir.Value, tuple[int, ...], tuple[int, ...]]:
    """The cotangent with its reduced dimensions kept, the input's shape, and its own."""
    if position:
        raise no_rule_for(node, position)
    shape, dy = shape_of(node.inputs[0]), one_output(cotangents)
    axes = _axes(node, len(shape))
    kept = tuple(1 if i in axes else size for i, size in enumerate(shape))
    return e.reshaped(dy, kept), shape, kept


def _axes(node: ir.Node, rank: int) -> set[int]:
    if node.op_type.startswith("Global"):
        return set(range(2, rank))
    listed = ints_attribute(node, "axes")
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        array = constant_array(node.inputs[1])
        if array is None:
            raise no_rule_for(node, 0)
        listed = tuple(int(axis) for axis in array.reshape(-1))
    if not listed:
        keeps_all = int_attribute(node, "noop_with_empty_axes", 0)
        return set() if keeps_all else set(range(rank))
    return {axis % rank for axis in listed}


def _max_pool(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    """Each window's cotangent goes where its maximum was found."""
    dy, shape = one_output(cotangents), shape_of(node.inputs[0])
    if int_attribute(node, "storage_order", 0):
        raise no_rule_for(node, position)
    # The pool once more: the index output is optional, and few networks have it.
    indices = e.op("MaxPool", node.inputs[0], num_outputs=2, **_pool_attributes(node))
    indices.type = ir.TensorType(ir.DataType.INT64)
    flat = [-1]
    zeros = e.zeros((math.prod(shape),))
    where = e.reshaped(indices, flat)
    where.type = indices.type
    scattered = e.op(
        "ScatterElements", zeros, where, e.reshaped(dy, flat), axis=0, reduction="add"
    )
    return e.reshaped(scattered, shape)


def _pool_attributes(node: ir.Node) -> dict[str, Any]:
    names = ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")
    return {name: node.attributes[name].value for name in names if name in node.attributes}


def _average_pool(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    """Each window's cotangent, over the number of its taps, goes to all of them."""
    dy, shape = one_output(cotangents), shape_of(node.inputs[0])
    window = pool_window(node)
    counts = window.counts(include_pads=bool(int_attribute(node, "count_include_pad", 0)))
    averaged = e.op("Div", dy, e.array(counts))
    # Channels as a batch: one kernel of ones serves them all.
    planes = e.reshaped(averaged, (shape[0] * shape[1], 1, *window.output_sizes))
    ones = e.op("Expand", e.number(1.0), e.ints((1, 1, *window.kernel)))
    spread = e.op("ConvTranspose", planes, ones, **window.transposed())
    return e.reshaped(spread, shape)


REDUCTION_DERIVATIVES: dict[str, Rule] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _reduce_sum,
    "GlobalMaxPool": _reduce_extreme,
    "MaxPool": _max_pool,
    "ReduceMax": _reduce_extreme,
    "ReduceMean": _reduce_sum,
    "ReduceMin": _reduce_extreme,
    "ReduceSum": _reduce_sum,
}
