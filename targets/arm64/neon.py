"""AArch64 without dot products: SMULL and SMLAL of bytes, SADALP into 32 bits.

The sum of two products is exact in 16 bits: activations are at least -128 and weights at most
127 in magnitude, so it is at most 2 * 128 * 127 = 32,512. SADALP adds neighbouring pairs of
such sums, four products, to each lane of 32 bits. Weights of -128, which some models have, and
products of activations are multiplied by ``octavo.targets.arm64.neon_wide``.

A step multiplies four activations of a row: TBL repeats the first two of them in one half of a
register, and the others in the other half. The weights of four columns lie in the same order.

Source: Arm Architecture Reference Manual for A-profile (DDI 0487), SMLAL, SADALP, TBL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.arm64.neon_lanes import NeonLanes, products
from octavo.targets.arm64.neon_wide import WideNeon
from octavo.targets.arm64.saturating_narrow import REGISTER_BYTES, Arm64Isa
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.spans import join, shuffle

LOWEST_WEIGHT = -127  # of those that sums of two products in 16 bits are exact for
PAIR = 2  # activations that share a lane of 16 bits with the next ones
INDEX_REGISTERS = 4  # of TBL, one for each step of a group
PASSING_REGISTERS = 7  # one of weights, six of products under way


@dataclass(frozen=True, kw_only=True)
class Neon(Arm64Isa):
    """Every AArch64 core."""

    name: str = "arm64_neon"
    dot_k: int = 4
    dot_cost: float = 3.0
    activation_cycles: float = 0.0
    activation_loads: float = 1.25
    weight_loads: float = 0.5
    group_steps: int = 4
    orders_columns: bool = True

    def for_weights(self, lowest: int) -> Isa:
        """Widen every product where the sum of two may be 2 * 128 * 128."""
        if lowest >= LOWEST_WEIGHT:
            return self
        return WideNeon(fits_words=self.fits_words, adds_even=self.adds_even)

    @property
    def by_lane(self) -> Isa:
        """SMULL, SMLAL and SADDW."""
        return NeonLanes(fits_words=self.fits_words, adds_even=self.adds_even)

    def load_block(
        self, buffer: Any, offsets: Sequence[Expr], steps: int
    ) -> list[Sequence[Expr]]:
        """Load one register, and repeat the pairs of each step by TBL."""
        (offset,) = offsets
        words = min(4, 1 << (steps - 1).bit_length())
        loaded = vector.load(buffer, offset, words * self.dot_k)
        copies = REGISTER_BYTES // (words * self.dot_k)
        row = vector.bind(join([loaded] * copies, words * self.dot_k))
        return [(self._repeat_pairs(row, step),) for step in range(steps)]

    def _repeat_pairs(self, row: Expr, step: int) -> Expr:
        half = REGISTER_BYTES // 2
        order = [
            step * self.dot_k + byte // half * PAIR + byte % PAIR
            for byte in range(REGISTER_BYTES)]
        index = shuffle([T.uint8(n) for n in order], range(REGISTER_BYTES))
        return vector.bind(vector.intrinsic(
            "int8", REGISTER_BYTES, "llvm.aarch64.neon.tbl1", row, index))

    def order_columns(self, weights: NDArray[Any]) -> NDArray[Any]:
        """First two weights of four columns, then the other two."""
        split = weights.reshape(-1, self.lanes, self.dot_k // PAIR, PAIR)
        return split.transpose(0, 2, 1, 3).reshape(-1)

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load 16 weights, [2][4 lanes][2]."""
        return vector.load(buffer, offset, REGISTER_BYTES)

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """SMULL, SMLAL2 and SADALP."""
        low, high = products(activations, weights)
        return acc + vector.intrinsic(
            "int32", self.lanes, "llvm.aarch64.neon.saddlp", low + high)

    def tile_registers(self, rows: int, panel: int) -> int:
        """Sums, one register for each row and its pairs, and what passes by."""
        return rows * panel + 2 * rows + INDEX_REGISTERS + PASSING_REGISTERS
