"""Rounding, narrowing and lookup on AArch64: what all of its variants share.

FCVTNS rounds half to even and saturates, SQXTN and SQXTUN narrow with saturation, so that
nothing needs a limit before it. TBL takes 64 entries at once and gives 0 for indices behind
them; TBX keeps what was there.

Source: Arm Architecture Reference Manual for A-profile (DDI 0487), C7.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.spans import join, shuffle
from octavo.targets.neon_words import REGISTER_LANES, NeonWords
from octavo.targets.pipeline import Pipeline
from octavo.targets.wide_lanes import WideLanes

REGISTER_BYTES = 16
TABLE_ENTRIES = 256
TABLE_BYTES = 64  # of one TBL
NO_ENTRY = 255  # an index behind every table
# Two vector instructions a cycle: what in-order cores issue, and what out-of-order ones
# multiply. Counted at that rate, the fastest tile is the one with the fewest instructions.
ARM64 = Pipeline(
    issue_per_cycle=2.0, dot_latency=4.0, far_weight_cycles=0.0, spill_cycles=1.5,
    epilogue_cycles=3.0, residual_cycles=2.5, tile_cycles=8.0, row_cycles=3.0,
    part_cycles=1.5)
LARGEST_WORD = 32767 - 255  # leaves room for a zero point of either sign
# At this size neighbouring float32 are 1 apart, and the bits below are a signed integer.
ROUNDING = 1.5 * 2.0**23
# Columns of a depthwise tile: the best, if it divides the image, and the most that have no
# more sums than there are registers.
BEST_COLUMNS, MAX_COLUMNS = 4, 7
COLUMN_COST = 0.03  # of each column that a tile has more or less than the best
NARROW_BYTES = {"int8": "llvm.aarch64.neon.sqxtn", "uint8": "llvm.aarch64.neon.sqxtun"}


@dataclass(frozen=True, kw_only=True)
class Arm64Isa(Isa):
    """Registers of four lanes.

    Attributes:
        fits_words: Results are in 16 bits before they are narrowed further, with the zero
            point and without it: UZP1 narrows two registers at once, without saturation.
        shares_taps: What ``spread_blocks`` made is shared by the columns of a tile; those of a
            strided one share so little that fewer are better.
        adds_even: The zero point is even, and added to real numbers: then a sum that is large
            enough to have no fraction is rounded like the number, half to even.
    """

    num_registers: int = 32
    activation_dtype: str = "int8"
    takes_any_real: bool = True
    has_blocks: bool = True
    rows_stay: bool = True
    pipeline: Pipeline = ARM64
    max_unrolled_dots: int = 64  # longer code keeps weights in memory that is not theirs
    features: tuple[str, ...] = ("neon",)
    shares_taps: bool = False
    fits_words: bool = False
    adds_even: bool = False

    def depthwise_columns(self, out_w: int, stride: int) -> int:
        """Few columns that are computed twice, and a tile near the best."""
        near = max(1, BEST_COLUMNS // stride) if self.shares_taps else BEST_COLUMNS
        fewest = max(1, near // 2) if self.shares_taps else near - 1

        def cost(columns: int) -> float:
            computed = -(-out_w // columns) * columns
            return computed * (1 + COLUMN_COST * abs(columns - near))

        return min(range(min(fewest, out_w), min(MAX_COLUMNS, out_w) + 1), key=cost)

    def for_results(self, largest: float, zero_point: int) -> Self:
        """Take UZP1, and FADD instead of FCVTNS and SQADD."""
        fits = largest <= LARGEST_WORD
        return replace(self, fits_words=fits, adds_even=fits and zero_point % 2 == 0)

    def round_to_int32(self, value: Expr, lanes: int) -> Expr:
        """FCVTNS; LLVM splits longer vectors."""
        if lanes % self.lanes:
            return super().round_to_int32(value, lanes)
        return join(
            [vector.intrinsic("int32", 4, "llvm.aarch64.neon.fcvtns", part)
             for part in self._quarters(value, lanes)], 4)

    def quantize_vectors(
        self, reals: Sequence[Expr], zero_point: Expr | None, low: Expr | None,
        high: Expr | None, dtype: str, in_blocks: bool = False,
    ) -> Expr | None:
        """FCVTNS, SQXTN, SQADD, SQXTN; limits are of bytes."""
        del in_blocks  # blocks are in order where a register has one
        parts = [part for real in reals for part in self._quarters(real, self.lanes)]
        if self.adds_even and zero_point is not None:
            rounded = self._round_and_move(parts, zero_point)
            joined = self._narrow(rounded, None, dtype)
        else:
            integers = [
                vector.intrinsic("int32", 4, "llvm.aarch64.neon.fcvtns", part)
                for part in parts]
            joined = self._narrow(integers, zero_point, dtype)
        lanes = vector.num_lanes(joined)
        if low is not None:
            joined = T.max(joined, vector.splat(vector.cast(low, dtype, 1), lanes))
        if high is not None:
            joined = T.min(joined, vector.splat(vector.cast(high, dtype, 1), lanes))
        return vector.bind(joined)

    def wide_lanes(self, lanes: int) -> WideLanes:
        """Rounded products of 32-bit lanes are one instruction."""
        if lanes != REGISTER_LANES:
            return super().wide_lanes(lanes)
        return NeonWords("llvm.aarch64.neon.sqrdmulh")

    def narrow_vectors(
        self, values: Sequence[Expr], dtype: str, in_blocks: bool = False
    ) -> Expr | None:
        """UZP1: values in range lose nothing."""
        lanes = self.lanes * len(values)
        return vector.bind(vector.cast(join(list(values), self.lanes), dtype, lanes))

    def spread_blocks(self, values: Sequence[Expr]) -> list[Expr]:
        """TBL takes every fourth byte of a result from the same vector.

        A vector that repeats the one before it is left out: TBL gives 0 in its place, which
        the zero weights there multiply as well.
        """
        whole = [v for i, v in enumerate(values) if not i or v is not values[i - 1]]
        registers = [vector.bind(v) for v in whole]
        results = []
        for first in range(0, REGISTER_BYTES, self.lanes):
            picked = [
                k * REGISTER_BYTES + first + lane if k < len(whole) else NO_ENTRY
                for lane in range(self.lanes) for k in range(len(values))]
            index = shuffle([T.uint8(n) for n in picked], range(REGISTER_BYTES))
            found = vector.intrinsic(
                self.activation_dtype, REGISTER_BYTES,
                f"llvm.aarch64.neon.tbl{len(registers)}", *registers, index)
            results.append(vector.bind(T.reinterpret(f"int32x{self.lanes}", found)))
        return results

    def lookup(self, table: Any, index: Expr, dtype: str, lanes: int) -> Expr | None:
        """TBL on the first quarter of the table, TBX on the others."""
        index = vector.bind(index)
        parts = []
        for first in range(0, lanes, REGISTER_BYTES):
            picked = [min(first + lane, lanes - 1) for lane in range(REGISTER_BYTES)]
            parts.append(self._lookup(table, vector.take(index, picked), dtype))
        return vector.take_first(join(parts, REGISTER_BYTES), lanes)

    def _lookup(self, table: Any, index: Expr, dtype: str) -> Expr:
        """Look up one register of indices."""
        index = vector.bind(index)
        found: tuple[Expr, ...] = ()
        for first in range(0, TABLE_ENTRIES, TABLE_BYTES):
            entries = [
                vector.load(table, first + at, REGISTER_BYTES)
                for at in range(0, TABLE_BYTES, REGISTER_BYTES)]
            below = vector.splat(T.uint8(first), REGISTER_BYTES)
            name = "llvm.aarch64.neon.tbx4" if found else "llvm.aarch64.neon.tbl4"
            found = (vector.bind(vector.intrinsic(
                dtype, REGISTER_BYTES, name, *found, *entries,
                index - below if first else index)),)
        return found[0]

    def _quarters(self, value: Expr, lanes: int) -> list[Expr]:
        """Registers of a vector of 32-bit lanes."""
        if lanes == 4:
            return [value]
        value = vector.bind(value)
        return [vector.take(value, range(at, at + 4)) for at in range(0, lanes, 4)]

    def _round_and_move(self, reals: Sequence[Expr], zero_point: Expr) -> list[Expr]:
        """FADD: the lower 16 bits are the rounded number and the zero point."""
        moved = T.float32(ROUNDING) + vector.cast(zero_point, "float32", 1)
        sums = []
        for real in reals:
            # A product and this sum would become one operation with one rounding.
            fenced = vector.intrinsic("float32", 4, "llvm.arithmetic.fence", real)
            total = fenced + vector.splat(moved, 4)
            sums.append(T.reinterpret("int32x4", total))
        return sums

    def _narrow(self, integers: Sequence[Expr], zero_point: Expr | None, dtype: str) -> Expr:
        """Join registers of int32 to saturated bytes; an odd last one is repeated."""
        if self.fits_words:
            halves = [vector.cast(value, "int16", 4) for value in integers]
        else:
            halves = [
                vector.intrinsic("int16", 4, "llvm.aarch64.neon.sqxtn", value)
                for value in integers]
        halves += halves[-1:] * (len(halves) % 2)
        joined = []
        for low, high in zip(halves[::2], halves[1::2], strict=True):
            words = join([low, high], 4)
            if zero_point is not None:
                moved = vector.splat(vector.cast(zero_point, "int16", 1), 8)
                words = vector.intrinsic("int16", 8, "llvm.sadd.sat", words, moved)
            joined.append(vector.intrinsic(dtype, 8, NARROW_BYTES[dtype], words))
        return vector.bind(join(joined, 8))
