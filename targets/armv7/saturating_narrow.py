"""Rounding, narrowing and lookup on 32-bit Arm: what all of its variants share.

NEON converts towards 0 only. A float32 that is added to 1.5 * 2**23 leaves no bit for a
fraction, so that the addition rounds, half to even, and the integer is the difference of the
sum's bits and of those of 1.5 * 2**23. Numbers of 2**22 or more give wrong integers, but in
the right order: bits of positive floats, as integers, are ordered as the floats, those of
negative ones are below all of them, and the subtraction saturates. Bytes saturate long before.
Where results are known to fit 16 bits, the lower half of the sum is the integer.

Source: Arm Architecture Reference Manual, Armv7-A and Armv7-R edition (DDI 0406), A8.8.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.spans import join
from octavo.targets.neon_words import REGISTER_LANES, NeonWords
from octavo.targets.pipeline import Pipeline
from octavo.targets.wide_lanes import WideLanes

REGISTER_BYTES = 16
HALF_BYTES = REGISTER_BYTES // 2
LANES = 4  # of 32 bits
LAST_FLOAT = 2147483520.0  # the largest float32 below 2**31
INTEGER_FLOATS = 8388608.0  # from 2**23 on every float32 is an integer
INTEGER_FLOATS_BITS = 0x4B000000
ROUNDING = 12582912.0  # 1.5 * 2**23
ROUNDING_BITS = 0x4B400000
LARGEST_WORD = 32767 - 255  # leaves room for a zero point of either sign
SIGN = -(2**31)
SIGN_BIT = 31
# In-order cores issue one vector instruction a cycle, with the loads beside it: the fastest
# tile is the one with the fewest instructions.
ARMV7 = Pipeline(
    dots_per_cycle=1.0, loads_per_cycle=1.0, issue_per_cycle=1.0, dot_latency=4.0,
    far_weight_cycles=0.0, spill_cycles=2.0, epilogue_cycles=8.0, residual_cycles=5.0,
    tile_cycles=12.0, row_cycles=4.0)
NARROW_BYTES = {"int8": "llvm.arm.neon.vqmovns", "uint8": "llvm.arm.neon.vqmovnsu"}


@dataclass(frozen=True, kw_only=True)
class Armv7Isa(Isa):
    """16 registers of four lanes.

    Attributes:
        adds_even: Results fit 16 bits, and the zero point is even: added to 1.5 * 2**23, it
            leaves to rounding which integers are even.
    """

    activation_dtype: str = "int8"
    pipeline: Pipeline = ARMV7
    features: tuple[str, ...] = ("neon", "vfp4")
    adds_even: bool = False

    def for_results(self, largest: float, zero_point: int) -> Self:
        """Take VMOVN instead of VQSUB and VQMOVN."""
        return replace(self, adds_even=largest <= LARGEST_WORD and zero_point % 2 == 0)

    def round_to_int32(self, value: Expr, lanes: int) -> Expr:
        """Add 2**23 with the number's sign: the sum has no room for a fraction.

        The limits keep a product in ``value`` from being fused with the addition, which would
        round once where the contract rounds twice. The difference of the bits is the size of
        the integer; a difference of floats would be taken for ``value`` itself.
        """
        words = f"int32x{lanes}"
        limited = vector.bind(T.min(
            T.max(value, vector.splat(T.float32(-LAST_FLOAT), lanes)),
            vector.splat(T.float32(LAST_FLOAT), lanes)))
        bits = vector.bind(T.reinterpret(words, limited))
        magic = vector.bind(T.bitwise_or(
            T.bitwise_and(bits, vector.splat(T.int32(SIGN), lanes)),
            vector.splat(T.int32(INTEGER_FLOATS_BITS), lanes)))
        total = limited + T.reinterpret(f"float32x{lanes}", magic)
        size = T.reinterpret(words, total) - magic
        sign = vector.bind(T.shift_right(bits, vector.splat(T.int32(SIGN_BIT), lanes)))
        has_fraction = vector.intrinsic("float32", lanes, "llvm.fabs", limited) < vector.splat(
            T.float32(INTEGER_FLOATS), lanes)
        return tirx.Select(
            has_fraction, T.bitwise_xor(size, sign) - sign,
            vector.cast(limited, "int32", lanes))

    def quantize_vectors(
        self, reals: Sequence[Expr], zero_point: Expr | None, low: Expr | None,
        high: Expr | None, dtype: str, in_blocks: bool = False,
    ) -> Expr | None:
        """VADD, VQSUB, VQMOVN, VQMOVN; limits are of bytes."""
        del in_blocks  # blocks are in order where a register has one
        moved = T.int32(0) if zero_point is None else zero_point
        half_words = self._half_words if self.adds_even else self._saturated_half_words
        halves = half_words([part for real in reals for part in registers_of(real)], moved)
        halves += halves[-1:] * (len(halves) % 2)
        joined = vector.bind(join(
            [vector.intrinsic(dtype, HALF_BYTES, NARROW_BYTES[dtype], join(pair, LANES))
             for pair in zip(halves[::2], halves[1::2], strict=True)], HALF_BYTES))
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
        return NeonWords("llvm.arm.neon.vqrdmulh")

    def narrow_vectors(
        self, values: Sequence[Expr], dtype: str, in_blocks: bool = False
    ) -> Expr | None:
        """VMOVN: values in range lose nothing."""
        lanes = self.lanes * len(values)
        return vector.bind(vector.cast(join(list(values), self.lanes), dtype, lanes))

    def _saturated_half_words(self, reals: Sequence[Expr], zero_point: Expr) -> list[Expr]:
        """Round registers of any numbers to saturated int16."""
        base = vector.bind(vector.splat(T.int32(ROUNDING_BITS) - zero_point, LANES))
        integers = [
            vector.intrinsic("int32", LANES, "llvm.ssub.sat", bits, base)
            for bits in _sums(reals, T.float32(ROUNDING))]
        return [
            vector.intrinsic("int16", LANES, "llvm.arm.neon.vqmovns", integer)
            for integer in integers]

    def _half_words(self, reals: Sequence[Expr], zero_point: Expr) -> list[Expr]:
        """Round registers to int16, which they fit with the zero point."""
        moved = T.float32(ROUNDING) + vector.cast(zero_point, "float32", 1)
        return [vector.cast(bits, "int16", LANES) for bits in _sums(reals, moved)]


def _sums(reals: Sequence[Expr], summand: Expr) -> list[Expr]:
    """Bits of the sums of registers and a float32 scalar.

    The fence keeps a product in ``reals`` from being fused with the addition, which would
    round once where the contract rounds twice.
    """
    same = vector.bind(vector.splat(summand, LANES))
    return [
        T.reinterpret(
            f"int32x{LANES}",
            vector.intrinsic("float32", LANES, "llvm.arithmetic.fence", real) + same)
        for real in reals]


def registers_of(value: Expr) -> list[Expr]:
    """Registers of a vector of 32-bit lanes."""
    if vector.num_lanes(value) == LANES:
        return [value]
    value = vector.bind(value)
    return [
        vector.take(value, range(at, at + LANES))
        for at in range(0, vector.num_lanes(value), LANES)]
