"""AArch64 without dot products, lane by lane: SMULL and SMLAL of bytes, SADDW into 32 bits.

Source: Arm Architecture Reference Manual for A-profile (DDI 0487), SMULL, SMLAL, SADDW.
"""

from dataclasses import dataclass
from typing import Any

from octavo.targets import half_sum, vector
from octavo.targets.arm64.saturating_narrow import REGISTER_BYTES, Arm64Isa
from octavo.targets.isa import Expr

HALF_BYTES = REGISTER_BYTES // 2


@dataclass(frozen=True, kw_only=True)
class NeonLanes(Arm64Isa):
    """One register of bytes, multiplied lane by lane: sums take four registers.

    Attributes:
        pairs: Every other product is added to the one before in 16 bits, and both to the sum
            at once; else every product is added to the sum.
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
        return half_sum.add_products(total, products(taps, weights), pairs=self.pairs)

    def settle(self, total: Any) -> Expr:
        """SADDW."""
        return half_sum.settle(total)


def products(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """SMULL and SMULL2: products of the lower and of the upper halves of two registers."""
    low, high = (
        vector.intrinsic(
            "int16", HALF_BYTES, "llvm.aarch64.neon.smull",
            vector.take(a, half), vector.take(b, half))
        for half in (range(HALF_BYTES), range(HALF_BYTES, REGISTER_BYTES)))
    return low, high
