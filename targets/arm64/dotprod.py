"""AArch64 with SDOT: four int8 products in each of four lanes.

The activations of four steps lie in one register, of which SDOT picks a word for all lanes, so
that no instruction repeats them.

Source: Arm Architecture Reference Manual for A-profile (DDI 0487), SDOT (by element).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.arm64.saturating_narrow import REGISTER_BYTES, Arm64Isa
from octavo.targets.isa import Expr

WEIGHT_REGISTERS = 2  # one LDP


@dataclass(frozen=True, kw_only=True)
class Dotprod(Arm64Isa):
    """Cortex-A55, A75, Neoverse N1 (2017) and later."""

    name: str = "arm64_dotprod"
    dot_k: int = 4
    dot_cost: float = 1.0
    activation_cycles: float = 0.0
    activation_loads: float = 0.25
    weight_loads: float = 0.5
    group_steps: int = 4
    shares_taps: bool = True
    features: tuple[str, ...] = ("neon", "dotprod")

    def load_activations(self, buffer: Any, offset: Expr) -> Expr:
        """Load four activations as one 32-bit word and repeat it (LD1R)."""
        word = T.reinterpret("int32", vector.load(buffer, offset, self.dot_k))
        return vector.splat(word, self.lanes)

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load 16 weights, [4 lanes][4]."""
        return vector.load(buffer, offset, REGISTER_BYTES)

    def load_block(
        self, buffer: Any, offsets: Sequence[Expr], steps: int
    ) -> list[Sequence[Expr]]:
        """Load one register; SDOT picks its words."""
        if steps == 1:
            return super().load_block(buffer, offsets, steps)
        words = 2 if steps == 2 else REGISTER_BYTES // self.dot_k
        (offset,) = offsets
        loaded = vector.load(buffer, offset, words * self.dot_k)
        loaded = vector.bind(T.reinterpret(f"int32x{words}", loaded))
        return [(vector.take(loaded, [step] * self.lanes),) for step in range(steps)]

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """SDOT; its second factor may be a word of a register."""
        bytes_of = T.reinterpret(f"int8x{REGISTER_BYTES}", activations)
        return vector.intrinsic(
            "int32", self.lanes, "llvm.aarch64.neon.sdot", acc, weights, bytes_of)

    def tile_registers(self, rows: int, panel: int) -> int:
        """Sums, one register for each row, and the weights that pass by."""
        return rows * panel + rows + WEIGHT_REGISTERS
