"""AArch64 without dot products: SMULL and SMLAL of bytes, SADALP into 32 bits.

The sum of two products is exact in 16 bits: activations are at least -128 and weights at most
127 in magnitude, so it is at most 2 * 128 * 127 = 32,512. Weights of -128, which some models
have, and products of activations, need every product widened (``Isa.for_weights``).

SADALP then adds neighbouring pairs of such sums, four products, to each lane of 32 bits. One
register sums up one output; at the end ADDP joins the lanes of four of them.

Source: Arm Architecture Reference Manual for A-profile (DDI 0487), SMLAL, SADALP, ADDP.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from octavo.targets import vector
from octavo.targets.arm64.saturating_narrow import REGISTER_BYTES, Arm64Isa
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.spans import shuffle

PASSING_REGISTERS = 12  # four of weights, eight of products under way
HALF_BYTES = REGISTER_BYTES // 2
LOWEST_WEIGHT = -127  # of those that ``Neon.pairs`` is exact for


@dataclass(frozen=True, kw_only=True)
class Neon(Arm64Isa):
    """Every AArch64 core.

    Attributes:
        pairs: Two products are added in 16 bits.
    """

    name: str = "arm64_neon"
    dot_k: int = 16
    dot_cost: float = 12.0
    activation_cycles: float = 0.0
    weight_loads: float = 2.0
    block_registers: int = 4
    starts_at_end: bool = True
    pairs: bool = True
    max_unrolled_dots: int = 12

    def for_weights(self, lowest: int) -> Isa:
        """Widen every product where the sum of two may be 2 * 128 * 128."""
        return self if lowest >= LOWEST_WEIGHT else replace(self, pairs=False, dot_cost=16.0)

    @property
    def by_lane(self) -> Isa:
        """SMULL, SMLAL and SADDW."""
        return NeonLanes(
            pairs=self.pairs, fits_words=self.fits_words, adds_even=self.adds_even)

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
        """SMULL, SMLAL2 and SADALP for each column."""
        (row,) = activations
        sums = []
        for acc, column in zip(accs, columns, strict=True):
            low, high = _products(row, column)
            wide = [
                vector.intrinsic("int32", self.lanes, "llvm.aarch64.neon.saddlp", products)
                for products in ((low + high,) if self.pairs else (low, high))]
            sums.append(sum(wide, acc))
        return sums

    def start_block(self, values: Sequence[Expr]) -> list[Expr]:
        """Start from 0, the only value there is: ``starts_at_end``."""
        (zero,) = values
        return [zero] * self.block_registers

    def end_block(self, accs: Sequence[Expr]) -> list[Expr]:
        """ADDP: the sum of the lanes of each register."""
        def add(a: Expr, b: Expr) -> Expr:
            return vector.intrinsic("int32", self.lanes, "llvm.aarch64.neon.addp", a, b)

        return [add(add(accs[0], accs[1]), add(accs[2], accs[3]))]

    def tile_registers(self, rows: int, panel: int) -> int:
        """Sums, one register for each row, and what passes by."""
        return self.block_registers * rows * panel + rows + PASSING_REGISTERS


@dataclass(frozen=True)
class HalfSum:
    """A sum of which the last product is still in 16 bits.

    Attributes:
        total: int32 lanes.
        products: int16 lanes, their lower and upper half.
    """

    total: Expr
    products: tuple[Expr, Expr]


@dataclass(frozen=True, kw_only=True)
class NeonLanes(Arm64Isa):
    """One register of bytes, multiplied lane by lane: sums take four registers.

    Every other product is added to the one before in 16 bits, and both to the sum at once.

    Attributes:
        pairs: As said; else every product is added to the sum.
    """

    name: str = "arm64_neon"
    lanes: int = REGISTER_BYTES
    num_registers: int = 9  # of 16 lanes, less what products under way take
    joined_vectors: int = 1
    pairs: bool = True
    has_blocks: bool = False

    def repeat_word(self, word: Expr) -> Expr:
        """Repeat a byte (DUP)."""
        return vector.splat(vector.cast(word, "int8", 1), self.lanes)

    def widen_tap(self, value: Expr) -> Expr:
        """Multiply bytes as they are."""
        return value

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load 16 weights."""
        return vector.load(buffer, offset, self.lanes)

    def add_taps(self, total: Any, taps: Expr, weights: Expr) -> Any:
        """SMULL, or SMLAL and SADDW."""
        low, high = _products(taps, weights)
        if not self.pairs:
            return self._widened(total, (low, high))
        if not isinstance(total, HalfSum):
            return HalfSum(total, (vector.bind(low), vector.bind(high)))
        return self._widened(total.total, (total.products[0] + low, total.products[1] + high))

    def settle(self, total: Any) -> Expr:
        """SADDW."""
        if not isinstance(total, HalfSum):
            return total
        return self._widened(total.total, total.products)

    def _widened(self, total: Expr, products: tuple[Expr, Expr]) -> Expr:
        joined = shuffle(products, range(self.lanes))
        return vector.bind(total + vector.cast(joined, "int32", self.lanes))


def _products(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """SMULL and SMULL2: products of the lower and of the upper halves of two registers."""
    low, high = (
        vector.intrinsic(
            "int16", HALF_BYTES, "llvm.aarch64.neon.smull",
            vector.take(a, half), vector.take(b, half))
        for half in (range(HALF_BYTES), range(HALF_BYTES, REGISTER_BYTES)))
    return low, high
