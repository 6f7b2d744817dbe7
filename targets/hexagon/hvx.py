"""Hexagon HVX: 1024-bit vectors, dot products of four bytes in each of 32 lanes.

Integers only: vector floating point came with v68, in another number format, and is not used;
what must be float runs on the scalar unit, one lane at a time.

Source: Qualcomm Hexagon V66 HVX Programmer's Reference Manual, 80-N2040-44: vrmpy, vmpye,
vmpyo, vpack, vshuff, vlut32.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.dyadic_sum import DyadicSum
from octavo.targets.hexagon.reals import StepCounter
from octavo.targets.hexagon.word_pairs import WordPairLanes
from octavo.targets.hexagon.words import round_sum
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa
from octavo.targets.wide_lanes import WideLanes

VECTOR_BYTES = 128
LANES = VECTOR_BYTES // 4
TABLE_PARTS = 4  # vlut32 reads 32 entries; a vector holds four times as many
PACK_BYTES = {"uint8": "V6.vpackhub.sat", "int8": "V6.vpackhb.sat"}


def words(value: Expr) -> Expr:
    """The bits of a register, under the type that instructions are declared with."""
    return T.reinterpret(f"int32x{LANES}", value)


def instruction(name: str, *operands: Expr) -> Expr:
    """One vector instruction on registers of 32-bit lanes."""
    return vector.intrinsic("int32", LANES, f"llvm.hexagon.{name}.128B", *operands)


@dataclass(frozen=True, kw_only=True)
class Hvx(Isa):
    """HVX of v66 and later, in the 128-byte mode."""

    name: str = "hvx"
    lanes: int = LANES
    float_lanes: int = 1
    num_registers: int = 32
    dot_k: int = 4
    dot_cost: float = 1.0
    activation_cycles: float = 0.5
    has_blocks: bool = True
    block_lanes: int = LANES
    joins_sums: bool = True
    max_block: int = 4
    has_word_pairs: bool = True
    quantizes_bits: bool = True
    features: tuple[str, ...] = ("hvx-length128b",)

    @property
    def of_reals(self) -> Isa:
        """One float at a time: vectors of them would be taken apart and put together."""
        return Isa(name=self.name, lanes=1)

    def load_activations(self, buffer: Any, offset: Expr) -> Expr:
        """Load four activations as one 32-bit word and repeat it (vsplat)."""
        word = T.reinterpret("int32", vector.load(buffer, offset, self.dot_k))
        return vector.splat(word, LANES)

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load four weights of every lane."""
        return words(vector.load(buffer, offset, VECTOR_BYTES))

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """Multiply unsigned by signed bytes (vrmpy)."""
        return instruction("V6.vrmpybusv.acc", acc, activations, weights)

    def round_to_int32(self, value: Expr, lanes: int) -> Expr:
        """Convert in the current rounding mode, half to even; a scalar instruction."""
        if lanes > 1:
            return super().round_to_int32(value, lanes)
        return vector.intrinsic("int32", 1, "llvm.hexagon.F2.conv.sf2w", value)

    def requantize_vectors(
        self, sums: Sequence[DyadicSum], zero_point: Expr | None, low: Expr | None,
        high: Expr | None, dtype: str,
    ) -> Expr:
        """Divide by 32-bit words, then pack with saturation."""
        rounded = [vector.bind(round_sum(total)) for total in sums]
        packed = self._pack(rounded, zero_point, dtype)
        if low is not None and high is not None:
            low, high = (
                vector.splat(vector.cast(limit, dtype, 1), VECTOR_BYTES)
                for limit in (low, high))
            packed = T.min(T.max(packed, low), high)
        return vector.bind(packed)

    def wide_lanes(self, lanes: int) -> WideLanes:
        """Compute on pairs of vectors; a scalar has 64 bits."""
        return WordPairLanes() if lanes == LANES else super().wide_lanes(lanes)

    def quantizer(
        self, scale: Expr, zero_point: Expr, dtype: str
    ) -> Callable[[Sequence[Expr]], Expr]:
        """Take float32 numbers as integers, then pack with saturation."""
        counter = StepCounter(scale)
        return lambda bits: vector.bind(
            self._pack([counter.count(each) for each in bits], zero_point, dtype))

    def narrow_vectors(
        self, values: Sequence[Expr], dtype: str, in_blocks: bool = False
    ) -> Expr | None:
        """Pack with saturation; results are in the order of the vectors."""
        return vector.bind(self._pack(values, None, dtype))

    def _pack(self, values: Sequence[Expr], zero_point: Expr | None, dtype: str) -> Expr:
        """Join up to four int32 vectors; missing ones repeat the last."""
        full = [*values, *[values[-1]] * (JOINED_VECTORS - len(values))]
        halves = []
        for low, high in ((full[0], full[1]), (full[2], full[3])):
            half = instruction("V6.vpackwh.sat", high, low)
            if zero_point is not None:
                moved = vector.splat(vector.cast(zero_point, "int16", 1), 2 * LANES)
                half = instruction("V6.vaddhsat", half, words(moved))
            halves.append(vector.bind(half))
        packed = instruction(PACK_BYTES[dtype], halves[1], halves[0])
        return T.reinterpret(f"{dtype}x{VECTOR_BYTES}", packed)

    def interleave(self, rows: Sequence[Expr]) -> Expr:
        """Join bytes in words: LLVM 22 puts some bytes of short vectors in wrong places."""
        joined = vector.splat(T.int32(0), LANES)
        for k, row in enumerate(rows):
            byte = vector.cast(T.reinterpret(f"uint8x{LANES}", row), "int32", LANES)
            moved = T.shift_left(byte, vector.splat(T.int32(8 * k), LANES))
            joined = T.bitwise_or(joined, moved)
        return T.reinterpret(f"int8x{VECTOR_BYTES}", joined)

    def join_words(self, low: Expr, high: Expr) -> Expr:
        """Keep the lower half of every word (vpackeh)."""
        return T.reinterpret(f"uint16x{2 * LANES}", instruction("V6.vpackeh", high, low))

    def join_bytes(self, low: Expr, high: Expr) -> Expr:
        """Keep the lower byte of every 16 bits (vpackeb)."""
        packed = instruction("V6.vpackeb", words(high), words(low))
        return T.reinterpret(f"uint8x{VECTOR_BYTES}", packed)

    def spread_blocks(self, values: Sequence[Expr]) -> list[Expr]:
        """Shuffle bytes, then pairs of them; a block is a whole register."""
        first, second = (
            self._interleave(values[k], values[k + 1], 1) for k in (0, 2))
        quarters = []
        for a, b in zip(first, second, strict=True):
            quarters += self._interleave(a, b, 2)
        return quarters

    def _interleave(self, a: Expr, b: Expr, width: int) -> list[Expr]:
        """Elements of ``width`` bytes of two registers in turn: the lower and upper half."""
        pair = vector.bind(vector.intrinsic(
            "int32", 2 * LANES, "llvm.hexagon.V6.vshuffvdd.128B",
            words(b), words(a), T.int32(-width)))
        return [vector.bind(instruction(f"V6.{half}", pair)) for half in ("lo", "hi")]

    def lookup(self, table: Any, index: Expr, dtype: str, lanes: int) -> Expr | None:
        """Read every eighth of the table (vlut32); indices of other eighths give 0."""
        if lanes != VECTOR_BYTES:
            return None
        found = vector.splat(T.int32(0), LANES)
        index = vector.bind(words(index))
        for half in range(2):
            entries = words(vector.load(table, half * VECTOR_BYTES, VECTOR_BYTES))
            # Entries 0 to 63 are expected in even bytes, 64 to 127 in odd ones.
            entries = vector.bind(instruction("V6.vshuffb", entries))
            for part in range(TABLE_PARTS):
                eighth = T.int32(half * TABLE_PARTS + part)
                found = instruction("V6.vlutvvb.oracc", found, index, entries, eighth)
        return T.reinterpret(f"{dtype}x{VECTOR_BYTES}", found)

    def store_first(self, buffer: Any, offset: Expr, value: Expr, count: int) -> None:
        """Store under a mask: without one LLVM stores the bytes of short vectors singly."""
        lanes = vector.num_lanes(value)
        if count == lanes or lanes != VECTOR_BYTES:
            super().store_first(buffer, offset, value, count)
            return
        is_valid = tirx.Ramp(T.int32(0), 1, lanes) < vector.splat(T.int32(count), lanes)
        # LLVM may not follow the offset: it takes some pointers of loops for aligned ones.
        opaque = vector.bind(vector.intrinsic("int32", 1, "llvm.hexagon.A2.tfr", offset))
        address = T.address_of(buffer[opaque])
        T.evaluate(T.call_llvm_intrin("void", "llvm.masked.store", value, address, is_valid))
