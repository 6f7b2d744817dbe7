"""Emit the end of attention: divide by the sum of a row's weights, round, store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa, clamp
from octavo.targets.ops.attention import RATIO_BITS, Attention
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
)

Parameter = tuple[str, int, str]


def output_parameters(op: Attention) -> list[Parameter]:
    """Constant operands of the output, in order."""
    params = ("params", NUM_PARAMS, "int32")
    if op.mode == "float32":
        return [("multiplier", 1, "float32"), params]
    return [("significand", 1, "int64"), ("shift", 1, "int64"), params]


@dataclass(frozen=True)
class RatioOutput:
    """Scales the sums of a row by one ratio; see ``octavo.targets.ops.attention.reference``.

    Attributes:
        op: The operation.
        isa: Instructions.
        operands: Buffers by operand name.
    """

    op: Attention
    isa: Isa
    operands: Mapping[str, Any]

    def ratio(self, total: Expr) -> Expr:
        """Factor of a row by the sum of its weights: float32, or int64 in the dyadic mode."""
        if self.op.mode == "float32":
            multiplier = vector.load(self.operands["multiplier"], 0)
            return vector.bind(multiplier / vector.cast(total, "float32", 1))
        significand = vector.load(self.operands["significand"], 0)
        scaled = T.shift_left(significand, T.int64(RATIO_BITS))
        return vector.bind(T.truncdiv(scaled, vector.cast(total, "int64", 1)))

    def emit(self, accs: Sequence[Expr], ratio: Expr, y_at: Expr, count: int) -> None:
        """Store the first ``count`` elements of vectors of sums.

        Args:
            accs: int32 vectors of ``isa.lanes`` lanes.
            ratio: Of their row.
            y_at: First element of the output.
            count: Elements that exist; only the last vector may be partial.
        """
        lanes = self.isa.lanes
        for first in range(0, len(accs), JOINED_VECTORS):
            group = accs[first : first + JOINED_VECTORS]
            at = y_at + first * lanes
            valid = min(count - first * lanes, len(group) * lanes)
            joined = self._joined(group, ratio)
            if joined is not None:
                stored = vector.take_first(joined, valid)
                vector.store(self.operands["y"], at, stored, valid)
                continue
            for i, acc in enumerate(group):
                size = min(lanes, valid - i * lanes)
                narrow = self.isa.narrow(self._rounded(acc, ratio), self.op.dtype, lanes)
                vector.store(
                    self.operands["y"], at + i * lanes, vector.take_first(narrow, size), size)

    def _param(self, slot: int) -> Expr:
        return vector.load(self.operands["params"], slot)

    def _real(self, acc: Expr, ratio: Expr) -> Expr:
        lanes = self.isa.lanes
        return vector.cast(acc, "float32", lanes) * vector.splat(ratio, lanes)

    def _joined(self, accs: Sequence[Expr], ratio: Expr) -> Expr | None:
        """One vector of bytes, or None where the instructions cannot join them."""
        if self.op.mode != "float32":
            rounded = [self._rounded(acc, ratio) for acc in accs]
            return self.isa.narrow_vectors(rounded, self.op.dtype)
        zero_point, low, high = (
            self._param(slot) for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
        reals = [self._real(acc, ratio) for acc in accs]
        return self.isa.quantize_vectors(reals, zero_point, low, high, self.op.dtype)

    def _rounded(self, acc: Expr, ratio: Expr) -> Expr:
        """int32 outputs of one vector."""
        lanes = self.isa.lanes
        zero_point, low, high = (
            self._param(slot) for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
        if self.op.mode == "float32":
            limits = [
                vector.splat(vector.cast(q - zero_point, "float32", 1), lanes)
                for q in (low, high)]
            rounded = self.isa.round_to_int32(clamp(self._real(acc, ratio), *limits), lanes)
            return rounded + vector.splat(zero_point, lanes)
        wide = self.isa.wide_lanes(lanes)
        shift = vector.load(self.operands["shift"], 0) + T.int64(RATIO_BITS)
        half = T.shift_left(T.int64(1), shift - T.int64(1))
        total = wide.extend(acc) * wide.same(ratio) + wide.same(half)
        zero, bottom, top = (
            vector.cast(value, "int64", 1) for value in (zero_point, low, high))
        return wide.limit((total >> wide.same(shift)) + wide.same(zero), bottom, top)
