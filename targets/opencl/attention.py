"""Attention on a GPU: 16 lanes for each query, its scores and weights in shared memory.

Lane ``l`` has the keys l, l + 16, ..., then quads of features of the values. Scores are sums
of products of packed bytes: with k' = k as signed bytes, sum (q - zq)(k - zk) is
sum q k' - zq sum k' + a number that all keys share.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.batch import batch_offset
from octavo.targets.opencl.epilogue import (
    each_quad,
    round_dyadic,
    round_real,
    store_lanes,
)
from octavo.targets.opencl.grid import (
    QUAD,
    Expr,
    Parameter,
    View,
    bind,
    call,
    flat_constants,
    local,
    loop,
    quad,
    quad_cast,
    quotient,
    rest,
    splat,
)
from octavo.targets.opencl.prelude import dot
from octavo.targets.opencl.rows import Row, row_func, rows_of_group
from octavo.targets.ops.attention import MAX_COLUMNS, MAX_DEPTH, RATIO_BITS, Attention
from octavo.targets.ops.requantize import NUM_PARAMS

Arrays = Mapping[str, NDArray[Any]]
SCORE_BYTES = 4
LOWEST_SCORE = -(2**31)
SIGNS = np.uint32(0x80808080).view(np.int32)  # of the four bytes of a word
ONES = 0x01010101


class GpuAttention:
    """Serves attention over as many tokens as shared memory has room for."""

    name = "gpu_attention"

    def reject(self, op: Attention, accelerator: Accelerator) -> str:
        """Accept operands whose sums and scores fit."""
        if op.depth > MAX_DEPTH or op.columns > MAX_COLUMNS:
            return f"depth {op.depth} over {op.columns} tokens"
        if not rows_of_group(accelerator, 1, SCORE_BYTES * op.columns):
            return (
                f"scores of {op.columns} tokens; work-groups share"
                f" {accelerator.local_bytes} bytes")
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
        return row_func(
            accelerator, parameters, op.rows * op.batch_size,
            lambda views, row: _Emitter(op, views, row).emit(), SCORE_BYTES * op.columns)

    def constants(
        self, op: Attention, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """The constants of the reference."""
        return flat_constants(_constants(op), arrays)


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

    def __init__(self, op: Attention, views: dict[str, View], row: Row) -> None:
        self.op = op
        self.views = views
        self.row = row
        rank = len(op.batch)
        item, number = bind(quotient(row.number, op.rows)), bind(rest(row.number, op.rows))
        self.zeros = [bind(views["zero_points"].load(slot)) for slot in range(4)]
        self.q_at = bind(
            batch_offset(op.batch, op.q_strides[:rank], item) + op.q_offset
            + number * op.q_strides[-1])
        self.k_at, self.v_at = (
            bind(batch_offset(op.batch, strides[:rank], item) + offset)
            for strides, offset in ((op.k_strides, op.k_offset), (op.v_strides, op.v_offset)))
        self.y_at = bind(
            batch_offset(op.batch, op.y_strides[:rank], item) + number * op.y_strides[-1])
        self.mask_at = T.int32(0)
        if op.mask_strides is not None:
            self.mask_at = bind(
                batch_offset(op.batch, op.mask_strides[:rank], item) + op.mask_offset
                + number * op.mask_strides[-2])
        # Features that are multiplied as words; the others one by one.
        self.words = op.depth // QUAD if op.k_strides[-2] == 1 else 0
        self.shared = self._shared_part()

    def _signed_key(self, word: Expr) -> Expr:
        return word if self.op.k_dtype == "int8" else word ^ T.int32(int(SIGNS))

    def _shared_part(self) -> Expr:
        """The number of all keys: depth zq zk - zk sum q, with zk as that of signed bytes."""
        if not self.words:
            return T.int32(0)
        zero = bind(self.zeros[1] - (0 if self.op.k_dtype == "int8" else 128))
        sums = local(1, "int32")
        T.buffer_store(sums, T.int32(0), [0])
        with loop(self.words) as index:
            word = self.views["q"].load_words(self.q_at + index * QUAD, 1)
            added = call("int32", dot(self.op.q_dtype), word, T.int32(ONES),
                         tirx.BufferLoad(sums, [0]))
            T.buffer_store(sums, added, [0])
        count = self.words * QUAD
        return bind(zero * (self.zeros[0] * count - tirx.BufferLoad(sums, [0])))

    def _score(self, column: Expr) -> Expr:
        op, views = self.op, self.views
        at = bind(self.k_at + column * op.k_strides[-1])
        products, keys = local(1, "int32"), local(1, "int32")
        T.buffer_store(products, self.shared, [0])
        if self.words:
            T.buffer_store(keys, T.int32(0), [0])
            with loop(self.words) as index:
                q = bind(views["q"].load_words(self.q_at + index * QUAD, 1))
                k = bind(self._signed_key(views["k"].load_words(at + index * QUAD, 1)))
                for sums, left in ((products, q), (keys, T.int32(ONES))):
                    added = call(
                        "int32", dot(op.q_dtype), left, k, tirx.BufferLoad(sums, [0]))
                    T.buffer_store(sums, added, [0])
            T.buffer_store(
                products,
                tirx.BufferLoad(products, [0]) - self.zeros[0] * tirx.BufferLoad(keys, [0]),
                [0])
        first = self.words * QUAD
        if first < op.depth:
            with loop(op.depth - first) as index:
                q = views["q"].load_int(self.q_at + (first + index)) - self.zeros[0]
                k_at = at + (first + index) * op.k_strides[-2]
                k = views["k"].load_int(k_at) - self.zeros[1]
                T.buffer_store(products, tirx.BufferLoad(products, [0]) + q * k, [0])
        score = tirx.BufferLoad(products, [0])
        if op.mask_strides is not None:
            mask = views["mask"].load_int(self.mask_at + column) - self.zeros[3]
            score = score + mask * views["step"].load(3)
        return bind(score)

    def emit(self) -> None:
        """Scores and the largest, weights and their sum, values."""
        op, row = self.op, self.row
        scores = row.memory(op.columns, "int32")

        def keep_score(most: Expr, column: Expr) -> Expr:
            score = self._score(column)
            scores.store(column, score)
            return T.max(most, score)

        lane_most = row.reduce(op.columns, T.int32(LOWEST_SCORE), keep_score)
        largest = row.total(lane_most, T.max)
        step = [bind(self.views["step"].load(slot)) for slot in range(3)]

        def keep_weight(total: Expr, column: Expr) -> Expr:
            distance = largest - scores.load(column)
            weight = bind(call("int32", "octavo_weight", distance, *step))
            scores.store(column, weight)
            return total + weight

        total = row.total(row.reduce(op.columns, T.int32(0), keep_weight))
        finish = self._division(total)
        quads = -(-op.width // QUAD)
        row.each(quads, lambda number: self._mix(number, scores.load, total, finish))

    def _mix(self, number: Expr, weight: Any, total: Expr, finish: Any) -> None:
        """A quad of features of all values."""
        op, view = self.op, self.views["v"]
        sums = local(1, "int32x4")
        # sum w (v - zv) begins with the part that has no v.
        T.buffer_store(sums, splat(T.int32(0) - total * self.zeros[2]), [0])
        column_stride, stride = op.v_strides[-2:]
        with loop(op.columns) as column:
            at = bind(self.v_at + column * column_stride + number * (QUAD * stride))
            if stride == 1:
                value = quad_cast(view.load_quad(at), "int32")
            else:
                # Features behind the last one repeat it, and are not stored.
                last = T.int32(op.width - 1) - number * QUAD
                value = quad([
                    view.load_int(at + T.min(T.int32(i), last) * stride) for i in range(QUAD)])
            product = splat(weight(column)) * value
            T.buffer_store(sums, tirx.BufferLoad(sums, [0]) + product, [0])
        narrow = bind(quad_cast(finish(bind(tirx.BufferLoad(sums, [0]))), op.dtype))
        with self.row.writing():
            each_quad(op.width, number, lambda valid: store_lanes(
                self.views["y"], narrow, self.y_at + number * QUAD, valid))

    def _division(self, total: Expr) -> Any:
        """What makes results of sums: the division by the sum of the weights."""
        op, views = self.op, self.views
        if op.mode == "float32":
            ratio = bind(call("float32", "octavo_divide", views["multiplier"].load(0),
                              tirx.Cast("float32", total)))
            return lambda acc: round_real(
                bind(quad_cast(acc, "float32") * splat(ratio)), views["params"])
        significand = T.shift_left(views["significand"].load(0), T.int64(RATIO_BITS))
        ratio = bind(T.truncdiv(significand, tirx.Cast("int64", total)))
        shift = splat(bind(views["shift"].load(0) + T.int64(RATIO_BITS)))
        return lambda acc: round_dyadic(
            quad_cast(acc, "int64") * splat(ratio), shift, views["params"])
