"""Softmax by table: the output depends only on the distance to the largest input of its row.

A row therefore has at most 256 different outputs: they are computed once, and the row is
mapped through them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
    SIGNIFICAND_BITS,
)
from octavo.targets.ops.softmax import MAX_EXTENT, TABLE_ENTRIES, Softmax

Arrays = Mapping[str, NDArray[Any]]

PLANES = 3  # bytes of a term, which is below 2**24
SIGN_BIT = 0x80


class SoftmaxTable:
    """Serves every softmax."""

    name = "softmax_table"

    def reject(self, op: Softmax, isa: Isa) -> str:
        """Accept every extent whose terms keep some precision."""
        if op.extent > MAX_EXTENT:
            return f"extent {op.extent}; at most {MAX_EXTENT}"
        return ""

    def variant(self, op: Softmax, isa: Isa) -> str:
        """Name the instructions and which axis the vectors lie along."""
        return f"{self.name}.{isa.name}.{'rows' if op.inner == 1 else 'columns'}"

    def build(self, op: Softmax, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        parameters = [
            ("x", op.elements, op.dtype),
            ("table", TABLE_ENTRIES, "int32"),
            *((f"plane{i}", TABLE_ENTRIES, "uint8") for i in range(PLANES)),
        ]
        if op.mode == "float32":
            parameters.append(("inverse", 1, "float32"))
        else:
            parameters += [("significand", 1, "int64"), ("shift", 1, "int64")]
        parameters += [("params", NUM_PARAMS, "int32"), ("y", op.elements, op.out_dtype)]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters,
            lambda *buffers: _Emitter(op, isa, dict(zip(names, buffers, strict=True))).emit())

    def constants(self, op: Softmax, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Give the table also byte by byte, for instructions that look up bytes."""
        table = arrays["table"].astype(np.int32)
        planes = [(table >> (8 * i) & 0xFF).astype(np.uint8) for i in range(PLANES)]
        if op.mode == "float32":
            inverse = [arrays["inverse"].astype(np.float32)]
        else:
            inverse = [arrays[name].astype(np.int64) for name in ("significand", "shift")]
        return [table, *planes, *inverse, arrays["params"].astype(np.int32)]

    def scratch_bytes(self, op: Softmax, isa: Isa) -> int:
        """Need none."""
        return 0


class _Emitter:
    """Emits one softmax."""

    def __init__(self, op: Softmax, isa: Isa, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.isa = isa
        self.operands = operands

    def emit(self) -> None:
        op = self.op
        if op.inner == 1:
            with vector.loop(op.rows, op.elements >= PARALLEL_ELEMENTS) as row:
                self._row(vector.bind(T.int32(0) + row * op.extent))
            return
        with vector.loop(op.rows, op.elements >= PARALLEL_ELEMENTS) as row:
            at = vector.bind(T.int32(0) + row * (op.extent * op.inner))
            full, rest = divmod(op.inner, self.isa.lanes)
            if full:
                with vector.loop(full) as block:
                    self._columns(at + block * self.isa.lanes, self.isa.lanes)
            if rest:
                with vector.loop(rest) as column:
                    self._columns(at + full * self.isa.lanes + column, 1)

    def _load(self, offset: Expr, lanes: int) -> Expr:
        """Load inputs as unsigned bytes in the same order."""
        value = vector.load(self.operands["x"], offset, lanes)
        if self.op.dtype == "uint8":
            return value
        value = T.reinterpret(vector.vector_type("uint8", lanes), value)
        return T.bitwise_xor(value, vector.splat(T.uint8(SIGN_BIT), lanes))

    def _row(self, at: Expr) -> None:
        """Normalize one contiguous row."""
        largest = vector.bind(self._largest(at))
        total = vector.local(1, "int32")
        vector.store(total, 0, T.int32(0))
        self._sum(at, largest, total)
        outputs = vector.local(TABLE_ENTRIES, self.op.out_dtype)
        finish = self._finisher(vector.load(total, 0), 1, self.isa.lanes)
        with vector.loop(TABLE_ENTRIES // self.isa.lanes) as block:
            first = block * self.isa.lanes
            terms = vector.load(self.operands["table"], first, self.isa.lanes)
            vector.store(outputs, first, finish(terms), self.isa.lanes)
        self._map(at, largest, outputs)

    def _blocks(self, emit: Callable[[Expr, int, int], None]) -> None:
        """Cover a row with byte vectors; of the last one only some lanes count."""
        lanes = 4 * self.isa.lanes
        full, rest = divmod(self.op.extent, lanes)
        if full:
            with vector.loop(full) as block:
                emit(block * lanes, lanes, lanes)
        if rest:
            emit(full * lanes, lanes, rest)

    def _largest(self, at: Expr) -> Expr:
        """Largest input of a row, as an unsigned byte."""
        lanes = 4 * self.isa.lanes
        best = vector.local(lanes, "uint8")
        vector.store(best, 0, vector.splat(T.uint8(0), lanes), lanes)

        def take(offset: Expr, lanes: int, valid: int) -> None:
            value = self._load(at + offset, lanes)
            if valid < lanes:
                value = tirx.Select(_is_valid(lanes, valid), value, _zeros("uint8", lanes))
            vector.store(best, 0, T.max(vector.load(best, 0, lanes), value), lanes)

        self._blocks(take)
        return vector.intrinsic(
            "uint8", 1, "llvm.vector.reduce.umax", vector.load(best, 0, lanes))

    def _sum(self, at: Expr, largest: Expr, total: Any) -> None:
        """Add up the terms of a row."""
        isa, lanes = self.isa, self.isa.lanes
        sums = vector.local(PLANES * lanes, "int32")
        for plane in range(PLANES):
            vector.store(sums, plane * lanes, _zeros("int32", lanes), lanes)

        def take_bytes(offset: Expr, width: int, valid: int) -> None:
            index = vector.bind(vector.splat(largest, width) - self._load(at + offset, width))
            for plane in range(PLANES):
                found = isa.lookup(self.operands[f"plane{plane}"], index, "uint8", width)
                if found is None:
                    take_words(offset, width, valid)
                    return
                if valid < width:
                    found = tirx.Select(_is_valid(width, valid), found, _zeros("uint8", width))
                found = vector.bind(found)
                acc = vector.load(sums, plane * lanes, lanes)
                for first in range(0, width, lanes):
                    piece = vector.take(found, range(first, first + lanes))
                    acc = acc + vector.cast(piece, "int32", lanes)
                vector.store(sums, plane * lanes, acc, lanes)

        def take_words(offset: Expr, width: int, valid: int) -> None:
            for first in range(0, valid, lanes):
                count = min(lanes, valid - first)
                terms = self._terms(largest, at + offset + first, lanes)
                if count < lanes:
                    terms = tirx.Select(_is_valid(lanes, count), terms, _zeros("int32", lanes))
                vector.store(sums, 0, vector.load(sums, 0, lanes) + terms, lanes)

        self._blocks(take_bytes)
        for plane in range(PLANES):
            part = vector.intrinsic(
                "int32", 1, "llvm.vector.reduce.add", vector.load(sums, plane * lanes, lanes))
            shifted = T.shift_left(part, T.int32(8 * plane))
            vector.store(total, 0, vector.load(total, 0) + shifted)

    def _terms(self, largest: Expr, offset: Expr, lanes: int) -> Expr:
        """Look up the terms of consecutive inputs; ``largest`` is one byte or a vector."""
        if vector.num_lanes(largest) != lanes:
            largest = vector.splat(largest, lanes)
        index = vector.cast(largest - self._load(offset, lanes), "int32", lanes)
        return tirx.BufferLoad(self.operands["table"], [vector.bind(index)])

    def _map(self, at: Expr, largest: Expr, outputs: Any) -> None:
        """Write a row through the table of its outputs."""
        y, dtype = self.operands["y"], self.op.out_dtype

        def write(offset: Expr, lanes: int, valid: int) -> None:
            index = vector.bind(vector.splat(largest, lanes) - self._load(at + offset, lanes))
            found = self.isa.lookup(outputs, index, dtype, lanes)
            if found is not None:
                vector.store(y, at + offset, vector.take_first(found, valid), valid)
                return
            indices = vector.local(lanes, "uint8")
            vector.store(indices, 0, index, lanes)
            with vector.loop(valid) as lane:
                entry = vector.cast(vector.load(indices, lane), "int32", 1)
                vector.store(y, at + offset + lane, vector.load(outputs, entry))

        self._blocks(write)

    def _columns(self, at: Expr, lanes: int) -> None:
        """Normalize neighbouring columns, each along the strided axis."""
        op = self.op
        best = vector.local(lanes, "uint8")
        vector.store(best, 0, _zeros("uint8", lanes), lanes)
        with vector.loop(op.extent) as index:
            value = self._load(at + index * op.inner, lanes)
            vector.store(best, 0, T.max(vector.load(best, 0, lanes), value), lanes)
        largest = vector.bind(vector.load(best, 0, lanes))
        total = vector.local(lanes, "int32")
        vector.store(total, 0, _zeros("int32", lanes), lanes)
        with vector.loop(op.extent) as index:
            terms = self._terms(largest, at + index * op.inner, lanes)
            vector.store(total, 0, vector.load(total, 0, lanes) + terms, lanes)
        finish = self._finisher(vector.load(total, 0, lanes), lanes, lanes)
        with vector.loop(op.extent) as index:
            offset = at + index * op.inner
            vector.store(
                self.operands["y"], offset, finish(self._terms(largest, offset, lanes)), lanes)

    def _finisher(self, total: Expr, total_lanes: int, lanes: int) -> Callable[[Expr], Expr]:
        """Return what divides terms by their total and rounds.

        Args:
            total: int32, ``total_lanes`` lanes: one total, or one for each lane.
            total_lanes: 1 or ``lanes``.
            lanes: Lanes of the terms.
        """
        isa, operands, dtype = self.isa, self.operands, self.op.out_dtype

        def spread(value: Expr) -> Expr:
            return vector.splat(value, lanes) if total_lanes < lanes else value

        zero_point, low, high = (
            vector.load(operands["params"], slot)
            for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
        if self.op.mode == "float32":
            inverse = vector.splat(vector.load(operands["inverse"], 0), total_lanes)
            ratio = vector.bind(spread(inverse / vector.cast(total, "float32", total_lanes)))
            limits = [
                vector.bind(vector.splat(vector.cast(q - zero_point, "float32", 1), lanes))
                for q in (low, high)]

            def finish_float(terms: Expr) -> Expr:
                real = vector.cast(terms, "float32", lanes) * ratio
                rounded = isa.round_to_int32(clamp(real, *limits), lanes)
                return isa.narrow(rounded + vector.splat(zero_point, lanes), dtype, lanes)

            return finish_float
        shift = vector.bind(vector.load(operands["shift"], 0) + T.int64(SIGNIFICAND_BITS))
        half = vector.bind(T.shift_left(T.int64(1), shift - T.int64(1)))
        significand = vector.load(operands["significand"], 0)
        scaled = T.shift_left(significand, T.int64(SIGNIFICAND_BITS))
        wide = isa.wide_lanes(lanes)
        if total_lanes == lanes:
            ratio = wide.quotients(scaled, total)
        else:
            ratio = wide.same(vector.bind(T.truncdiv(scaled, vector.cast(total, "int64", 1))))
        bottom, top = (vector.cast(value, "int64", 1) for value in (low, high))

        def finish_dyadic(terms: Expr) -> Expr:
            product = wide.extend(terms) * ratio + wide.same(half)
            moved = (product >> wide.same(shift)) + wide.same(
                vector.cast(zero_point, "int64", 1))
            return isa.narrow(wide.limit(moved, bottom, top), dtype, lanes)

        return finish_dyadic


def _is_valid(lanes: int, valid: int) -> Expr:
    """Whether each lane is among the first ``valid``."""
    return tirx.Ramp(T.int32(0), 1, lanes) < vector.splat(T.int32(valid), lanes)


def _zeros(dtype: str, lanes: int) -> Expr:
    return vector.splat(tirx.const(0, dtype), lanes)
