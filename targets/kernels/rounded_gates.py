"""Weights of gates whose inputs are rounded twice: ``octavo.targets.ops.word_lstm``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.kernels.fixed_lanes import FixedLanes
from octavo.targets.kernels.packed_gates import PackedGates, Parameter
from octavo.targets.kernels.twice_rounded import divide_rounding
from octavo.targets.kernels.word_functions import WordFunctions
from octavo.targets.ops.recurrent import Arrays
from octavo.targets.ops.requantize import SIGNIFICAND_BITS
from octavo.targets.ops.word_lstm import MAX_ONCE

START = 1  # number of that operand


class RoundedGates(PackedGates):
    """Products whose bias is added before they are scaled, and that end in 16 bits.

    The first rounding is that of ``PackedGates``, with half of a step as its bias.
    """

    def parameters(self) -> list[Parameter]:
        """Constant operands."""
        n = self.op.directions * self.columns
        return [*super().parameters(),
                (self.name("places"), n, "int32"), (self.name("half"), n, "int32")]

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack them."""
        shift = arrays[f"{self.part}_shift"]
        first = np.minimum(shift, SIGNIFICAND_BITS)
        places = shift - first
        packed = super().constants({
            **arrays, f"{self.part}_shift": first,
            f"{self.part}_bias": np.int64(1) << (first - 1)})
        if self.part == "input":
            packed[START] = packed[START] + self._ordered(arrays["offset"])
        return [*packed, self._ordered(places), self._ordered((1 << places) >> 1)]

    def _ordered(self, rows: NDArray[Any]) -> NDArray[np.int32]:
        """Order (1, gates * hidden) as the columns of weights are."""
        return self._columns(self._split(rows[..., None])[..., 0]).astype(np.int32)

    def gate_input(
        self, operands: Mapping[str, Any], acc: Expr, direction: Expr, block: Expr, gate: int
    ) -> Expr:
        """Scale the accumulators of one gate; those of x are saturated."""
        lanes, words = self.isa.lanes, WordFunctions(self.isa.lanes)
        at = direction * self.columns + block * self.block_columns + gate * lanes
        fixed = FixedLanes(self.isa)
        wide = fixed.wide
        significand = vector.load(operands[self.name("significand")], at, lanes)
        half, shift = (
            wide.load(operands[self.name(what)], at, lanes) for what in ("bias", "shift"))
        scaled = wide.extend(acc) * wide.extend(significand) + half
        once = fixed.limit(scaled >> shift, MAX_ONCE)
        places, half = (
            vector.bind(vector.load(operands[self.name(what)], at, lanes))
            for what in ("places", "half"))
        twice = divide_rounding(once, places, half, lanes)
        return words.saturate(twice) if self.part == "input" else twice
