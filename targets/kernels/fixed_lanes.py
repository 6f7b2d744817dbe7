"""Fixed-point arithmetic on vectors, as ``octavo.targets.ops.fixed_point`` defines it.

Products of 32-bit lanes have 64 bits. A vector of them is kept as two, the products of the
even lanes and those of the odd ones: multipliers find their operands there without a move.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
from octavo.targets.ops.fixed_point import (
    COEFFICIENT_BITS,
    EXPONENT_BITS,
    GATE_LIMIT,
    NODE_BITS,
    NUM_SEGMENTS,
    SEGMENT_BITS,
    STATE_BITS,
    TABLE_ROWS,
    TANH_BITS,
    TANH_RANGE,
)
from octavo.targets.wide_lanes import WORD_BITS, WideLanes


@dataclass(frozen=True)
class Wide:
    """A vector of int64.

    Attributes:
        even: Lanes 0, 2, ...
        odd: Lanes 1, 3, ...
    """

    even: Expr
    odd: Expr

    def map(self, function: Callable[[Expr], Expr]) -> "Wide":
        """Apply a function to both halves."""
        return Wide(function(self.even), function(self.odd))

    def __add__(self, other: "Wide") -> "Wide":
        return Wide(self.even + other.even, self.odd + other.odd)

    def __mul__(self, other: "Wide") -> "Wide":
        return Wide(self.even * other.even, self.odd * other.odd)

    def __rshift__(self, shift: "Wide") -> "Wide":
        return Wide(T.shift_right(self.even, shift.even), T.shift_right(self.odd, shift.odd))


class EvenOddLanes(WideLanes):
    """Arithmetic of ``Wide``."""

    def __init__(self, lanes: int) -> None:
        super().__init__(lanes)
        self._half = lanes // 2

    def extend(self, value: Expr) -> Wide:
        """Extend int32 lanes; the product of two such vectors is one instruction a half."""
        bits = self._same64(WORD_BITS)
        pairs = vector.bind(T.reinterpret(f"int64x{self._half}", value))
        low = T.shift_right(T.shift_left(pairs, bits), bits)
        return Wide(vector.bind(low), vector.bind(T.shift_right(pairs, bits)))

    def same(self, value: Expr) -> Wide:
        """Repeat an int64 scalar in every lane."""
        lanes = vector.bind(vector.splat(value, self._half))
        return Wide(lanes, lanes)

    def load(self, buffer: Any, offset: Expr, count: int) -> Wide:
        """Load whole vectors that ``order`` has ordered."""
        assert count == self.lanes
        return Wide(
            vector.load(buffer, offset, self._half),
            vector.load(buffer, offset + self._half, self._half))

    def order(self, values: NDArray[Any]) -> NDArray[Any]:
        """Put the even lanes of every vector before the odd ones."""
        pairs = values.reshape(*values.shape[:-1], -1, self._half, 2)
        return np.ascontiguousarray(pairs.swapaxes(-1, -2)).reshape(values.shape)

    def narrow(self, value: Wide) -> Expr:
        """Join lower words; int32 lanes."""
        low = T.bitwise_and(value.even, self._same64((1 << WORD_BITS) - 1))
        high = T.shift_left(value.odd, self._same64(WORD_BITS))
        joined = T.reinterpret(f"int32x{self.lanes}", T.bitwise_or(low, high))
        return vector.bind(joined)

    def limit(self, value: Wide, low: Expr, high: Expr) -> Expr:
        """Limit every lane to what int32 holds; int32 lanes."""
        limits = [vector.splat(limit, self._half) for limit in (low, high)]
        return self.narrow(value.map(lambda half: clamp(half, *limits)))

    def _same64(self, number: int) -> Expr:
        return vector.splat(T.int64(number), self._half)


class FixedLanes:
    """Emits fixed-point operations on vectors of ``isa.lanes`` int32.

    Attributes:
        isa: Instructions.
        wide: 64-bit arithmetic.
    """

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self.wide: WideLanes = (
            isa.wide_lanes(isa.lanes) if isa.has_word_pairs else EvenOddLanes(isa.lanes))

    def round_shift(self, value: Any, shift: int) -> Any:
        """Divide 64-bit lanes by 2**shift, rounding half up."""
        rounded = value + self.wide.same(T.int64(1 << (shift - 1)))
        return rounded >> self.wide.same(T.int64(shift))

    def limit(self, value: Any, limit: int) -> Expr:
        """Limit 64-bit lanes to +-``limit``; int32 lanes."""
        return self.wide.limit(value, T.int64(-limit), T.int64(limit))

    def apply_rows(self, acc: Expr, significand: Expr, bias: Any, shift: Any) -> Expr:
        """``apply_rows`` of int32 lanes."""
        wide = self.wide
        value = (wide.extend(acc) * wide.extend(significand) + bias) >> shift
        return self.limit(value, GATE_LIMIT)

    def tanh(self, value: Expr, table: Any) -> Expr:
        """``tanh_fixed`` of int32 lanes; ``table`` holds ``tanh_table``, row by row."""
        same = self._same32
        limit = (TANH_RANGE << STATE_BITS) - 1
        limited = vector.bind(clamp(value, same(-limit), same(limit)))
        position = vector.bind(T.max(limited, same(0) - limited))
        index = vector.bind(T.shift_right(position, same(SEGMENT_BITS)))
        first, second, c3 = (
            vector.bind(self.isa.lookup_words(table, row * NUM_SEGMENTS, index))
            for row in range(TABLE_ROWS))
        fraction = vector.bind(T.bitwise_and(position, same((1 << SEGMENT_BITS) - 1)))
        bend = T.shift_right(second, same(COEFFICIENT_BITS)) + T.shift_right(
            c3 * fraction, same(SEGMENT_BITS))
        slope = T.bitwise_and(second, same((1 << COEFFICIENT_BITS) - 1)) + T.shift_right(
            bend * fraction, same(SEGMENT_BITS))
        shift = T.bitwise_and(first, same((1 << EXPONENT_BITS) - 1))
        rise = T.shift_right(slope * fraction, shift)
        total = T.shift_right(first, same(EXPONENT_BITS)) + rise
        magnitude = vector.bind(T.min(
            T.shift_right(total, same(NODE_BITS - TANH_BITS)), same((1 << TANH_BITS) - 1)))
        return vector.bind(tirx.Select(limited < same(0), same(0) - magnitude, magnitude))

    def _same32(self, number: int) -> Expr:
        return vector.splat(T.int32(number), self.isa.lanes)
