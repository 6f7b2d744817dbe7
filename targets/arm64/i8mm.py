"""AArch64 with USMMLA: products of two rows and two columns, eight deep, in one instruction.

A register holds eight activations of two rows, or eight weights of two columns; a sum register
holds all four combinations. Two of them make two rows of four columns.

Activations are unsigned: what a ReLU gives then has zero point 0, which needs no addition.

Source: Arm Architecture Reference Manual for A-profile (DDI 0487), USMMLA and USDOT (vector).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.arm64.bf16 import Bfdot
from octavo.targets.arm64.dotprod import Dotprod
from octavo.targets.arm64.saturating_narrow import REGISTER_BYTES, Arm64Isa
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.spans import join, shuffle

WEIGHT_REGISTERS = 4  # of one vector of columns, and of the next
LOW_PAIRS, HIGH_PAIRS = (0, 1, 4, 5), (2, 3, 6, 7)  # of the lanes of two registers


@dataclass(frozen=True, kw_only=True)
class I8mm(Arm64Isa, Bfdot):
    """Cortex-A510, A710, X2, Neoverse V1 (2020) and later."""

    name: str = "arm64_i8mm"
    activation_dtype: str = "uint8"
    dot_k: int = 8
    dot_cost: float = 1.0
    activation_cycles: float = 0.0
    block_rows: int = 2
    block_registers: int = 2
    quantizes_blocks: bool = True
    group_steps: int = 2
    features: tuple[str, ...] = ("neon", "dotprod", "i8mm", "bf16")

    @property
    def by_lane(self) -> Isa:
        """USDOT."""
        return MixedDots(
            name=self.name, features=self.features, fits_words=self.fits_words,
            adds_even=self.adds_even)

    def load_block(
        self, buffer: Any, offsets: Sequence[Expr], steps: int
    ) -> list[Sequence[Expr]]:
        """Load the steps of both rows, then ZIP their halves."""
        loaded = [
            vector.bind(vector.load(buffer, offset, steps * self.dot_k)) for offset in offsets]
        if steps == 1:
            return [(vector.bind(join(loaded, self.dot_k)),)]
        halves = [T.reinterpret("int64x2", row) for row in loaded]
        register = f"{self.activation_dtype}x{REGISTER_BYTES}"
        return [
            (vector.bind(T.reinterpret(register, shuffle(halves, (step, 2 + step)))),)
            for step in range(steps)]

    def load_columns(self, buffer: Any, offset: Expr) -> Sequence[Expr]:
        """Load two registers of two columns each."""
        return tuple(
            vector.bind(vector.load(buffer, offset + at, REGISTER_BYTES))
            for at in (0, REGISTER_BYTES))

    def dot_block(
        self, accs: Sequence[Expr], activations: Sequence[Expr], columns: Sequence[Expr]
    ) -> list[Expr]:
        """USMMLA for either pair of columns."""
        (rows,) = activations
        return [
            vector.intrinsic("int32", self.lanes, "llvm.aarch64.neon.usmmla", acc, rows, pair)
            for acc, pair in zip(accs, columns, strict=True)]

    def start_block(self, values: Sequence[Expr]) -> list[Expr]:
        """Pair up the columns of both rows."""
        return [shuffle(values, pairs) for pairs in (LOW_PAIRS, HIGH_PAIRS)]

    def end_block(self, accs: Sequence[Expr]) -> list[Expr]:
        """Put the columns of each row side by side, which is the same exchange."""
        return [shuffle(accs, pairs) for pairs in (LOW_PAIRS, HIGH_PAIRS)]

    def quantize_blocks(
        self, reals: Sequence[Sequence[Expr]], zero_point: Expr | None, low: Expr | None,
        high: Expr | None, dtype: str,
    ) -> list[Expr]:
        """Narrow all registers, then UZP1 and UZP2: pairs of columns of either row."""
        flat = [real for vectors in reals for real in vectors]
        joined = self.quantize_vectors(flat, zero_point, low, high, dtype)
        lanes = vector.num_lanes(joined)
        pairs = vector.bind(T.reinterpret(f"int16x{lanes // 2}", joined))
        return [
            vector.bind(T.reinterpret(
                f"{dtype}x{lanes // 2}", vector.take(pairs, range(row, lanes // 2, 2))))
            for row in range(self.block_rows)]

    def tile_registers(self, rows: int, panel: int) -> int:
        """Sums, activations of a group of steps, and the weights that pass by."""
        blocks = -(-rows // self.block_rows)
        return blocks * (self.block_registers * panel + self.group_steps) + WEIGHT_REGISTERS


@dataclass(frozen=True, kw_only=True)
class MixedDots(Dotprod):
    """Four products of unsigned activations and signed weights in each lane."""

    activation_dtype: str = "uint8"

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """USDOT."""
        bytes_of = T.reinterpret(f"uint8x{REGISTER_BYTES}", activations)
        return vector.intrinsic(
            "int32", self.lanes, "llvm.aarch64.neon.usdot", acc, bytes_of, weights)
