"""Convolution of 16-bit activations whose sums may need more than 32 bits.

Products are summed in 32 bits for as many inputs as always fit. Such a part is then added to
two sums of 32 bits, of its upper and its lower 16 bits, which become one float32 at the end:
2**16 * upper + lower, rounded once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.epilogue import Parameter
from octavo.targets.kernels.register_tile import RegisterTile, for_steps
from octavo.targets.kernels.word_gemm import Arrays, WordEmitter, WordKernel
from octavo.targets.ops.word_conv import WORD, WordConv
from octavo.targets.word_isa import slower_words

HALF_BITS = 16
# 508 products of -2**15 and -2**7 are below 2**31.
PART_INPUTS = 508
MAX_PARTS = 255  # sums of as many lower halves, and of the bias, are exact in float32


class WordGemmParts(WordKernel):
    """Serves convolutions and products whatever their constants are."""

    name = "word_gemm_parts"

    def reject(self, op: WordConv, isa: Isa) -> str:
        """Accept words as long as two sums of 32 bits hold what is summed."""
        if op.dtype != WORD:
            return f"{op.dtype} activations: their sums fit 32 bits"
        if (parts := _Emitter(op, isa, self.schedule).num_parts) > MAX_PARTS:
            return f"{parts} parts of a sum; at most {MAX_PARTS} are exact"
        return slower_words(isa) or ""

    def build(self, op: WordConv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa, self.schedule).build()

    def constants(self, op: WordConv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """As ``WordGemm``; the bias is in two halves."""
        return _Emitter(op, isa, self.schedule).constants(arrays)


@dataclass(frozen=True)
class PartsTile(RegisterTile):
    """Sums of a part in registers, and what earlier parts have come to in memory.

    Attributes:
        upper, lower: Local buffers: [row][vector][lane].
    """

    upper: Any = None
    lower: Any = None

    def end_part(self) -> None:
        """Add the sums to those of earlier parts, and start again at zero."""
        lanes = self.isa.lanes
        half = vector.splat(T.int32(HALF_BITS), lanes)
        mask = vector.splat(T.int32((1 << HALF_BITS) - 1), lanes)
        for row in range(self.rows):
            for v, total in enumerate(super().row(row)):
                at = (row * self.vectors + v) * lanes
                held = vector.bind(total)
                more = {
                    self.upper: T.shift_right(held, half),
                    self.lower: T.bitwise_and(held, mask),
                }
                for sums, part in more.items():
                    vector.store(sums, at, vector.load(sums, at, lanes) + part, lanes)
        self.fill(vector.splat(T.int32(0), lanes))

    def row(self, row: int) -> list[Expr]:
        """Sums of one row, rounded to float32."""
        lanes = self.isa.lanes
        unit = vector.splat(T.float32(1 << HALF_BITS), lanes)
        found = []
        for v in range(self.vectors):
            at = (row * self.vectors + v) * lanes
            upper, lower = (
                vector.cast(vector.load(sums, at, lanes), "float32", lanes)
                for sums in (self.upper, self.lower)
            )
            found.append(vector.bind(vector.fma(upper, unit, lower, lanes)))
        return found


class _Emitter(WordEmitter):
    """Emits one convolution, part by part."""

    @property
    def part_steps(self) -> int:
        """Steps of one part."""
        return PART_INPUTS // self.isa.dot_k

    @property
    def num_parts(self) -> int:
        """Parts of a sum; each tap's last one may be shorter."""
        taps_h, taps_w = self.packing.taps
        return taps_h * taps_w * -(-self.packing.steps // self.part_steps)

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Split the bias, the zero point's part included."""
        zero_point = arrays["zero_point"].astype(np.int64).reshape(-1)
        sums = arrays["weight"].astype(np.int64).reshape(self.op.out_c, -1).sum(axis=1)
        bias = arrays["bias"].astype(np.int64).reshape(-1) - zero_point * sums
        upper = (bias >> HALF_BITS).astype(np.int32)
        lower = (bias & ((1 << HALF_BITS) - 1)).astype(np.int32)
        weight, _, *others = super().constants(arrays)
        return [weight, upper, lower, *others]

    def _parameters(self) -> list[Parameter]:
        """Two halves of the bias in its place."""
        found: list[Parameter] = []
        for name, elements, dtype in super()._parameters():
            halves = ("bias_upper", "bias_lower") if name == "bias" else (name,)
            found += [(half, elements, dtype) for half in halves]
        return found

    def _new_tile(
        self, operands: dict[str, Any], rows: int, vectors: int, channel: Expr
    ) -> RegisterTile:
        lanes = self.isa.lanes
        registers = vector.local(rows * vectors * lanes, self.isa.acc_dtype)
        upper, lower = (vector.local(rows * vectors * lanes, "int32") for _ in range(2))
        for sums, name in ((upper, "bias_upper"), (lower, "bias_lower")):
            for v in range(vectors):
                bias = vector.bind(vector.load(operands[name], channel + v * lanes, lanes))
                for row in range(rows):
                    vector.store(sums, (row * vectors + v) * lanes, bias, lanes)
        self.tile = PartsTile(self.isa, rows, vectors, registers, upper=upper, lower=lower)
        self.tile.fill(vector.splat(T.int32(0), lanes))
        return self.tile

    def _each_step(self, dots: int, add: Callable[[Any, Any, Any, int], None]) -> None:
        """Loop over taps and parts; ``end_part`` after each."""
        taps_h, taps_w = self.packing.taps
        whole, rest = divmod(self.packing.steps, self.part_steps)
        with vector.loop(taps_h) as kh, vector.loop(taps_w) as kw:
            if whole:
                with vector.loop(whole) as part:
                    self._part(partial(add, kh, kw), part * self.part_steps, self.part_steps)
            if rest:
                self._part(partial(add, kh, kw), whole * self.part_steps, rest)

    def _part(self, add: Callable[[Any, int], None], first: Expr, steps: int) -> None:
        for_steps(
            self.isa, steps, lambda step, count: add(first + step, count), is_first=False
        )
        self.tile.end_part()
