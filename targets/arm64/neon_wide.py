"""AArch64 without dot products, for weights of -128 and products of activations.

The sum of two products of -128 does not fit 16 bits, so that SADALP adds every product to 32
bits. One register sums up one output; at the end ADDP joins the lanes of four of them.

Source: Arm Architecture Reference Manual for A-profile (DDI 0487), SMULL, SADALP, ADDP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from octavo.targets import vector
from octavo.targets.arm64.neon_lanes import NeonLanes, products
from octavo.targets.arm64.saturating_narrow import Arm64Isa
from octavo.targets.isa import Expr, Isa

PASSING_REGISTERS = 12  # four of weights, eight of products under way


@dataclass(frozen=True, kw_only=True)
class WideNeon(Arm64Isa):
    """Every AArch64 core."""

    name: str = "arm64_neon"
    dot_k: int = 16
    dot_cost: float = 16.0
    activation_cycles: float = 0.0
    weight_loads: float = 2.0
    block_registers: int = 4
    starts_at_end: bool = True
    max_unrolled_dots: int = 12

    def for_weights(self, lowest: int) -> Isa:
        """All of them."""
        del lowest
        return self

    @property
    def by_lane(self) -> Isa:
        """SMULL and SADDW."""
        return NeonLanes(pairs=False, fits_words=self.fits_words, adds_even=self.adds_even)

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
        """SMULL, SMULL2 and two SADALP for each column."""
        (row,) = activations
        sums = []
        for acc, column in zip(accs, columns, strict=True):
            wide = [
                vector.intrinsic("int32", self.lanes, "llvm.aarch64.neon.saddlp", part)
                for part in products(row, column)]
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
