"""The V extension of RISC-V: VWMACC multiplies 16-bit integers into sums of 32 bits.

A vector of sums takes a group of eight registers, so that one instruction multiplies 32
weights, widened once for all rows of a tile, by an activation in a scalar register. Products
of bytes are exact whatever the operands are.

Conversion from float rounds half to even (the mode that programs start with) and saturates,
and VNCLIP narrows with saturation, so that nothing needs a limit before it.

Source: RISC-V Instruction Set Manual, volume I, "V" standard extension, version 1.0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
from octavo.targets.pipeline import Pipeline

# One instruction a cycle; registers of a group follow each other through the multipliers.
RVV = Pipeline(
    dots_per_cycle=1.0, loads_per_cycle=1.0, issue_per_cycle=1.0, dot_latency=1.0,
    far_weight_cycles=0.0, spill_cycles=2.0, epilogue_cycles=10.0, residual_cycles=5.0,
    tile_cycles=12.0, row_cycles=4.0)


@dataclass(frozen=True, kw_only=True)
class Rvv(Isa):
    """Registers of at least 128 bits, in groups of eight; of four where lanes hold floats.

    Weights of float networks have four times as many bytes: more rows share them.
    """

    name: str = "riscv64_rvv"
    lanes: int = 32
    float_lanes: int = 16
    num_registers: int = 10  # groups of four are 8; repeated operands need none
    dot_cost: float = 1.0
    activation_cycles: float = 0.0
    weight_loads: float = 2.0
    group_steps: int = 4
    max_unrolled_dots: int = 0  # LLVM would move widened weights out of the loop over rows
    pipeline: Pipeline = RVV
    joined_vectors: int = 1
    features: tuple[str, ...] = ("v",)

    def load_activations(self, buffer: Any, offset: Expr) -> Expr:
        """Load one activation; the multiplication repeats it."""
        return vector.splat(vector.cast(vector.load(buffer, offset), "int16", 1), self.lanes)

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load a weight of every lane and widen it to 16 bits."""
        return vector.cast(vector.load(buffer, offset, self.lanes), "int16", self.lanes)

    def repeat_word(self, word: Expr) -> Expr:
        """Repeat one activation."""
        return vector.splat(vector.cast(word, "int16", 1), self.lanes)

    def widen_tap(self, value: Expr) -> Expr:
        """Widen activations to 16 bits."""
        return vector.cast(value, "int16", self.lanes)

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """VWMACC."""
        wide = [vector.cast(value, "int32", self.lanes) for value in (activations, weights)]
        return acc + wide[0] * wide[1]

    @property
    def by_lane(self) -> Isa:
        """Groups of four, so that three columns share their taps."""
        return replace(self, lanes=16, num_registers=8)

    def tile_registers(self, rows: int, panel: int) -> int:
        """Sums are in groups of eight, one vector of weights in one of four."""
        return 2 * rows * panel + 2 + 2

    def round_to_int32(self, value: Expr, lanes: int) -> Expr:
        """VFCVT."""
        return vector.intrinsic("int32", lanes, "llvm.lrint", value)

    def quantize_vectors(
        self, reals: Sequence[Expr], zero_point: Expr | None, low: Expr | None,
        high: Expr | None, dtype: str, in_blocks: bool = False,
    ) -> Expr | None:
        """VFCVT, VSADD, VNCLIP; joining vectors would move them."""
        del in_blocks  # there are no blocks
        if len(reals) > 1:
            return None
        value = self.round_to_int32(reals[0], self.lanes)
        if zero_point is not None:
            moved = vector.splat(zero_point, self.lanes)
            value = vector.intrinsic("int32", self.lanes, "llvm.sadd.sat", value, moved)
        limits = np.iinfo(dtype)
        least, most = (
            vector.splat(T.int32(int(limit)) if bound is None else bound, self.lanes)
            for bound, limit in ((low, limits.min), (high, limits.max)))
        return vector.bind(vector.cast(clamp(value, least, most), dtype, self.lanes))
