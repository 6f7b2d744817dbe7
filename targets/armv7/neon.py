"""NEON of 32-bit Arm: VMULL and VMLAL of bytes, VPADAL into 32 bits.

The sum of two products is exact in 16 bits: activations are at least -128 and weights at most
127 in magnitude, so it is at most 2 * 128 * 127 = 32,512; where weights may be -128, each
product goes on its own. VPADAL adds neighbouring pairs to each lane of 32 bits. One register
sums up one output; at the end VPADD joins the lanes of four of them.

Source: Arm Architecture Reference Manual, Armv7-A and Armv7-R edition (DDI 0406), A8.8.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.spans import join

REGISTER_BYTES = 16
HALF_BYTES = REGISTER_BYTES // 2
PASSING_REGISTERS = 5  # one of weights, two of products under way, two spare
LOWEST_WEIGHT = -127  # of those that sums of two products in 16 bits are exact for
LAST_FLOAT = 2147483520.0  # the largest float32 below 2**31
INTEGER_FLOATS = 8388608.0  # from 2**23 on every float32 is an integer
INTEGER_FLOATS_BITS = 0x4B000000
SIGN = -(2**31)
SIGN_BIT = 31


@dataclass(frozen=True, kw_only=True)
class NeonLanes(Isa):
    """Multiplications of 32-bit lanes, and rounding, which NEON has no instruction for."""

    name: str = "armv7_neon"
    activation_dtype: str = "int8"
    features: tuple[str, ...] = ("neon", "vfp4")

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


@dataclass(frozen=True, kw_only=True)
class Neon(NeonLanes):
    """Sums of 16 products in three instructions.

    Attributes:
        pairs: Two products are added in 16 bits; else each is added to 32 bits.
    """

    pairs: bool = True
    dot_k: int = 16
    dot_cost: float = 12.0
    activation_cycles: float = 0.0
    weight_loads: float = 4.0
    block_registers: int = 4
    starts_at_end: bool = True
    max_unrolled_dots: int = 12

    @property
    def by_lane(self) -> Isa:
        """Multiply 32-bit lanes."""
        return NeonLanes()

    def for_weights(self, lowest: int) -> Isa:
        """Widen every product where the sum of two may be 2 * 128 * 128."""
        return self if lowest >= LOWEST_WEIGHT else replace(self, pairs=False, dot_cost=16.0)

    def load_block(
        self, buffer: Any, offsets: Sequence[Expr], steps: int
    ) -> list[Sequence[Expr]]:
        """Load 16 activations of one row."""
        (offset,) = offsets
        return [
            (vector.bind(vector.load(buffer, offset + step * self.dot_k, self.dot_k)),)
            for step in range(steps)]

    def load_columns(self, buffer: Any, offset: Expr) -> Sequence[Expr]:
        """Load 16 weights of each of four columns."""
        return tuple(
            vector.bind(vector.load(buffer, offset + lane * self.dot_k, self.dot_k))
            for lane in range(self.lanes))

    def dot_block(
        self, accs: Sequence[Expr], activations: Sequence[Expr], columns: Sequence[Expr]
    ) -> list[Expr]:
        """VMULL, VMLAL and VPADAL for each column."""
        (row,) = activations
        halves = (range(HALF_BYTES), range(HALF_BYTES, REGISTER_BYTES))
        sums = []
        for acc, column in zip(accs, columns, strict=True):
            low, high = (
                vector.intrinsic(
                    "int16", HALF_BYTES, "llvm.arm.neon.vmulls",
                    vector.take(row, half), vector.take(column, half))
                for half in halves)
            total = acc
            for products in (low + high,) if self.pairs else (low, high):
                total = vector.intrinsic(
                    "int32", self.lanes, "llvm.arm.neon.vpadals", total, products)
            sums.append(total)
        return sums

    def start_block(self, values: Sequence[Expr]) -> list[Expr]:
        """Start from 0, the only value there is: ``starts_at_end``."""
        (zero,) = values
        return [zero] * self.block_registers

    def end_block(self, accs: Sequence[Expr]) -> list[Expr]:
        """VPADD: the sum of the lanes of each register."""
        def add(a: Expr, b: Expr) -> Expr:
            return vector.intrinsic("int32", 2, "llvm.arm.neon.vpadd", a, b)

        bound = [vector.bind(acc) for acc in accs]
        pairs = [add(vector.take(acc, (0, 1)), vector.take(acc, (2, 3))) for acc in bound]
        return [join([add(pairs[0], pairs[1]), add(pairs[2], pairs[3])], 2)]

    def tile_registers(self, rows: int, panel: int) -> int:
        """Sums, one register for each row, and what passes by."""
        return self.block_registers * rows * panel + rows + PASSING_REGISTERS
