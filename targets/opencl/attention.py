"""Attention on a GPU: one work item per query of a head.

The scores of a query are computed twice: once for the largest, once for the weights. Nothing
but the sum of weighted values has to be kept meanwhile.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.batch import batch_offset
from octavo.targets.opencl.epilogue import round_dyadic, round_real, store_lanes
from octavo.targets.opencl.grid import (
    QUAD,
    Expr,
    Parameter,
    View,
    bind,
    call,
    grid_func,
    lane,
    local,
    loop,
    quad_cast,
    splat,
)
from octavo.targets.ops.attention import MAX_COLUMNS, MAX_DEPTH, RATIO_BITS, Attention
from octavo.targets.ops.requantize import NUM_PARAMS

Arrays = Mapping[str, NDArray[Any]]
MAX_WIDTH = 128  # sums of one work item, in registers


class GpuAttention:
    """Serves attention whose heads are whole quads."""

    name = "gpu_attention"

    def reject(self, op: Attention, accelerator: Accelerator) -> str:
        """Accept contiguous features in quads."""
        if op.depth % QUAD or op.width % QUAD or op.width > MAX_WIDTH:
            return f"heads of {op.depth} and {op.width} features"
        if op.k_strides[-2] != 1 or op.v_strides[-1] != 1:
            return "features of keys or values are not contiguous"
        if op.depth > MAX_DEPTH or op.columns > MAX_COLUMNS:
            return f"depth {op.depth} over {op.columns} tokens"
        return ""

    def variant(self, op: Attention, accelerator: Accelerator) -> str:
        """Name the device."""
        return f"{self.name}.{accelerator.name}"

    def build(self, op: Attention, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        inputs: list[Parameter] = [
            ("q", op.q_elements, op.q_dtype), ("k", op.k_elements, op.k_dtype)]
        if op.mask_strides is not None:
            inputs.append(("mask", op.mask_elements, op.mask_dtype))
        inputs.append(("v", op.v_elements, op.v_dtype))
        parameters = [*inputs, *_constants(op), ("y", op.y_elements, op.dtype)]
        return grid_func(
            accelerator, parameters, (op.rows, op.batch_size),
            lambda views, place: _Emitter(op, views, *place).emit())

    def constants(
        self, op: Attention, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """The constants of the reference."""
        return [
            np.asarray(arrays[name]).reshape(-1).astype(dtype)
            for name, _, dtype in _constants(op)
        ]


def _constants(op: Attention) -> list[Parameter]:
    scale: list[Parameter] = [("multiplier", 1, "float32")]
    if op.mode == "dyadic":
        scale = [("significand", 1, "int64"), ("shift", 1, "int64")]
    return [
        ("zero_points", 4, "int32"), ("step", 4, "int32"), *scale,
        ("params", NUM_PARAMS, "int32"),
    ]  # fmt: skip


class _Emitter:
    """Emits one query."""

    def __init__(self, op: Attention, views: dict[str, View], row: Expr, item: Expr) -> None:
        self.op = op
        self.views = views
        rank = len(op.batch)
        self.zeros = [bind(views["zero_points"].load(slot)) for slot in range(4)]
        self.q_at = bind(
            batch_offset(op.batch, op.q_strides[:rank], item) + op.q_offset
            + row * op.q_strides[-1])
        self.k_at, self.v_at = (
            bind(batch_offset(op.batch, strides[:rank], item) + offset)
            for strides, offset in ((op.k_strides, op.k_offset), (op.v_strides, op.v_offset)))
        self.y_at = bind(
            batch_offset(op.batch, op.y_strides[:rank], item) + row * op.y_strides[-1])
        self.mask_at = T.int32(0)
        if op.mask_strides is not None:
            self.mask_at = bind(
                batch_offset(op.batch, op.mask_strides[:rank], item) + op.mask_offset
                + row * op.mask_strides[-2])

    def _score(self, column: Expr) -> Expr:
        op, views = self.op, self.views
        products = local(1, "int32x4")
        T.buffer_store(products, splat(T.int32(0)), [0])
        at = bind(self.k_at + column * op.k_strides[-1])
        with loop(op.depth // QUAD) as index:
            left = quad_cast(views["q"].load_quad(self.q_at + index * QUAD), "int32")
            right = quad_cast(views["k"].load_quad(at + index * QUAD), "int32")
            product = (left - splat(self.zeros[0])) * (right - splat(self.zeros[1]))
            T.buffer_store(products, tirx.BufferLoad(products, [0]) + product, [0])
        four = bind(tirx.BufferLoad(products, [0]))
        score = lane(four, 0) + lane(four, 1) + lane(four, 2) + lane(four, 3)
        if op.mask_strides is not None:
            mask = views["mask"].load_int(self.mask_at + column) - self.zeros[3]
            score = score + mask * views["step"].load(3)
        return bind(score)

    def emit(self) -> None:
        """Largest score, weights and sums, division."""
        op, views = self.op, self.views
        most, total = local(1, "int32"), local(1, "int32")
        T.buffer_store(most, T.int32(-(2**31)), [0])
        T.buffer_store(total, T.int32(0), [0])
        with loop(op.columns) as column:
            score = self._score(column)
            T.buffer_store(most, T.max(tirx.BufferLoad(most, [0]), score), [0])
        largest = bind(tirx.BufferLoad(most, [0]))
        quads = op.width // QUAD
        sums = local(quads, "int32x4")
        for index in range(quads):
            T.buffer_store(sums, splat(T.int32(0)), [index])
        step = [bind(views["step"].load(slot)) for slot in range(3)]
        with loop(op.columns) as column:
            score = self._score(column)
            weight = bind(call("int32", "octavo_weight", largest - score, *step))
            T.buffer_store(total, tirx.BufferLoad(total, [0]) + weight, [0])
            at = bind(self.v_at + column * op.v_strides[-2])
            for index in range(quads):
                value = quad_cast(views["v"].load_quad(at + index * QUAD), "int32")
                product = splat(weight) * (value - splat(self.zeros[2]))
                T.buffer_store(sums, tirx.BufferLoad(sums, [index]) + product, [index])
        self._divide(bind(tirx.BufferLoad(total, [0])), sums)

    def _divide(self, total: Expr, sums: Any) -> None:
        op, views = self.op, self.views
        if op.mode == "float32":
            ratio = bind(call("float32", "octavo_divide", views["multiplier"].load(0),
                              tirx.Cast("float32", total)))
        else:
            significand = T.shift_left(views["significand"].load(0), T.int64(RATIO_BITS))
            ratio = bind(T.truncdiv(significand, tirx.Cast("int64", total)))
            shift = splat(bind(views["shift"].load(0) + T.int64(RATIO_BITS)))
        for index in range(op.width // QUAD):
            acc = bind(tirx.BufferLoad(sums, [index]))
            if op.mode == "float32":
                real = bind(quad_cast(acc, "float32") * splat(ratio))
                rounded = round_real(real, views["params"])
            else:
                product = quad_cast(acc, "int64") * splat(ratio)
                rounded = round_dyadic(product, shift, views["params"])
            narrow = bind(quad_cast(rounded, op.dtype))
            store_lanes(views["y"], narrow, self.y_at + index * QUAD, QUAD)
