"""Emit the element conversions of a move: see ``octavo.targets.ops.move``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa, clamp
from octavo.targets.kernels.spans import join
from octavo.targets.ops.move import COPY, DEQUANTIZE, QUANTIZE, TABLE, Move
from octavo.targets.word_isa import WORD

ABSOLUTE_MASK = 0x7FFFFFFF
INFINITY_BITS = 0x7F800000


def look_up(isa: Isa, table: Any, index: Expr, dtype: str, lanes: int) -> Expr:
    """Look up every lane in a 256-entry table; ``index`` has 8-bit lanes of any sign."""
    if lanes == 1:
        byte = T.reinterpret("uint8", index)
        return vector.load(table, vector.cast(byte, "int32", 1))
    raw = T.reinterpret(vector.vector_type("uint8", lanes), index)
    found = isa.lookup(table, raw, dtype, lanes)
    if found is not None:
        return found
    indices, values = vector.local(lanes, "uint8"), vector.local(lanes, dtype)
    vector.store(indices, 0, raw, lanes)
    for lane in range(lanes):
        at = vector.cast(vector.load(indices, lane), "int32", 1)
        vector.store(values, lane, vector.load(table, at))
    return vector.load(values, 0, lanes)


def settled(value: Expr, dtype: str, lanes: int) -> Expr:
    """Name a vector so that TVM's simplifier does not look through the name.

    It does through a bound expression, in time that grows with the number of paths to it.
    """
    held = vector.local(lanes, dtype)
    vector.store(held, 0, value, lanes)
    return vector.load(held, 0, lanes)


def takes_bits(op: Move, isa: Isa) -> bool:
    """Whether float32 inputs are loaded as int32: only their bits are looked at."""
    return op.convert == QUANTIZE and isa.quantizes_bits and op.out_dtype != WORD


class Conversion:
    """The function f of a move, on vectors.

    Make one inside every parallel loop: what it binds stays in registers there.
    """

    def __init__(self, op: Move, isa: Isa, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.isa = isa
        self.operands = operands
        if op.convert in (QUANTIZE, DEQUANTIZE):
            self.scale = vector.bind(vector.load(operands["scale"], 0))
            self.zero_point = vector.bind(vector.load(operands["zero_point"], 0))
        self.quantizer = None
        if takes_bits(op, isa):
            self.quantizer = isa.quantizer(self.scale, self.zero_point, op.out_dtype)
        if op.convert == QUANTIZE:
            limits = np.iinfo(op.out_dtype)
            self.low, self.high = (
                vector.bind(vector.cast(T.int32(int(limit)) - self.zero_point, "float32", 1))
                for limit in (limits.min, limits.max))

    @property
    def narrows(self) -> bool:
        """Whether results have fewer bits, so that shuffling is cheaper behind it."""
        return self.op.convert == QUANTIZE

    @property
    def _joins(self) -> bool:
        """Whether several vectors are quantized to one of bytes."""
        return self.op.convert == QUANTIZE and self.op.out_dtype != WORD and (
            self.isa.takes_any_real or self.quantizer is not None)

    @property
    def lanes(self) -> int:
        """Lanes of one vector of a dense move."""
        if self._joins:
            return self.isa.lanes * JOINED_VECTORS
        if self.op.convert in (QUANTIZE, DEQUANTIZE):
            return self.isa.lanes
        return self.isa.lanes * 4 // np.dtype(self.op.dtype).itemsize

    def settle(self, value: Expr, lanes: int) -> Expr:
        """Convert ``lanes`` lanes once: later uses see only the result."""
        return settled(self.apply(value, lanes), self.op.out_dtype, lanes)

    def apply(self, value: Expr, lanes: int) -> Expr:
        """Convert ``lanes`` lanes."""
        if self.op.convert == COPY:
            return value
        if self.op.convert == TABLE:
            return look_up(self.isa, self.operands["table"], value, self.op.out_dtype, lanes)
        if self.quantizer is not None and lanes > 1:
            return self._quantize_bits(value, lanes)
        one = self._quantize if self.op.convert == QUANTIZE else self._dequantize
        if lanes <= self.isa.lanes:
            return one(value, lanes)
        held = vector.local(lanes, self.op.dtype)
        vector.store(held, 0, value, lanes)
        whole = lanes - lanes % self.isa.lanes
        if self._joins and lanes == self.lanes:
            scale = vector.splat(self.scale, self.isa.lanes)
            joined = self.isa.quantize_vectors(
                [vector.load(held, at, self.isa.lanes) / scale
                 for at in range(0, lanes, self.isa.lanes)],
                self.zero_point, None, None, self.op.out_dtype)
            assert joined is not None
            return joined
        parts = [one(vector.load(held, at, self.isa.lanes), self.isa.lanes)
                 for at in range(0, whole, self.isa.lanes)]
        if whole == lanes:
            return join(parts, self.isa.lanes)
        # Pixels of three channels: 24 lanes are no multiple of 16.
        joined = vector.local(lanes, self.op.out_dtype)
        for index, part in enumerate(parts):
            vector.store(joined, index * self.isa.lanes, part, self.isa.lanes)
        rest = lanes - whole
        vector.store(joined, whole, one(vector.load(held, whole, rest), rest), rest)
        return vector.load(joined, 0, lanes)

    def _quantize_bits(self, value: Expr, lanes: int) -> Expr:
        """Quantize whole vectors; what is behind the last lane does not matter."""
        assert self.quantizer is not None
        width = self.isa.lanes
        count = -(-lanes // width)
        held = vector.local(count * width, "int32")
        vector.store(held, 0, value, lanes)
        words = [vector.load(held, index * width, width) for index in range(count)]
        return vector.take_first(self.quantizer(words), lanes)

    def _quantize(self, value: Expr, lanes: int) -> Expr:
        if self.quantizer is not None:
            value = T.reinterpret("float32", value)
        steps = vector.bind(value / vector.splat(self.scale, lanes))
        # Compared as integers: "x != x" is folded away, and limits would turn NaN into one.
        bits = T.reinterpret(vector.vector_type("int32", lanes), steps)
        size = T.bitwise_and(bits, vector.splat(T.int32(ABSOLUTE_MASK), lanes))
        is_number = size <= vector.splat(T.int32(INFINITY_BITS), lanes)
        steps = vector.bind(T.Select(is_number, steps, vector.splat(T.float32(0), lanes)))
        low, high = vector.splat(self.low, lanes), vector.splat(self.high, lanes)
        rounded = self.isa.round_to_int32(vector.bind(clamp(steps, low, high)), lanes)
        moved = rounded + vector.splat(self.zero_point, lanes)
        return self.isa.narrow(moved, self.op.out_dtype, lanes)

    def _dequantize(self, value: Expr, lanes: int) -> Expr:
        wide = vector.cast(value, "int32", lanes) - vector.splat(self.zero_point, lanes)
        return vector.cast(wide, "float32", lanes) * vector.splat(self.scale, lanes)
