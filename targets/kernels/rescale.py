"""Emit the end of kernels whose multiplier is not per channel: elementwise, pools, resize.

The same rounding contracts as ``octavo.targets.kernels.epilogue``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa, clamp
from octavo.targets.kernels.convert import look_up
from octavo.targets.kernels.spans import for_spans, join
from octavo.targets.kernels.twice_rounded import round_divided
from octavo.targets.ops.requantize import (
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
    SIGNIFICAND_BITS,
    Requantize,
)
from octavo.targets.wide_lanes import Wide
from octavo.targets.word_isa import WORD


def for_blocks(n: int, lanes: int, emit: Callable[[Expr, int], None]) -> None:
    """Call ``emit(start, count)`` for blocks of at most ``lanes`` elements that cover [0, n).

    The last block overlaps its neighbour; only when there is no other is it shorter.
    """
    if n <= lanes:
        emit(0, n)
    else:
        for_spans(n, lanes, emit)


class Rescale:
    """Rounds, saturates and stores vectors; make one inside every parallel loop.

    Attributes:
        op: The epilogue.
        isa: Instructions.
        block: Elements that are stored at once.
        wide: 64-bit arithmetic on vectors.
    """

    def __init__(self, op: Requantize, isa: Isa, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.isa = isa
        self.operands = operands
        self.block = isa.lanes * JOINED_VECTORS
        self.wide = isa.wide_lanes(isa.lanes)
        if op.dtype != "float32":
            self.zero_point, self.low, self.high = (
                vector.bind(vector.load(operands["params"], slot))
                for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))

    @property
    def is_dyadic(self) -> bool:
        """Whether results come from 64-bit integers."""
        return self.op.is_integer

    def starts(self, count: int) -> range:
        """Offsets of the vectors that cover ``count`` elements of a block."""
        return range(0, count, self.isa.lanes)

    def store_reals(self, reals: Sequence[Expr], offset: Expr, count: int) -> None:
        """Store float32 vectors, in units of the output's step.

        Args:
            reals: Vectors of ``isa.lanes`` lanes.
            offset: Element of the output.
            count: Elements that exist; the last vector may be partial.
        """
        lanes = self.isa.lanes
        if self.op.dtype == "float32":
            for at, real in zip(self.starts(count), reals, strict=True):
                valid = min(lanes, count - at)
                vector.store(self.operands["y"], offset + at,
                             vector.take_first(vector.bind(real), valid), valid)
            return
        joined = None
        if self.op.dtype != WORD:
            joined = self.isa.quantize_vectors(
                reals, self.zero_point, self.low, self.high, self.op.dtype)
        if joined is not None:
            self._store(joined, offset, count)
            return
        low, high = (
            vector.splat(vector.cast(limit - self.zero_point, "float32", 1), lanes)
            for limit in (self.low, self.high))
        moved = vector.splat(self.zero_point, lanes)
        self._store_integers(
            [self.isa.round_to_int32(clamp(real, low, high), lanes) + moved for real in reals],
            offset, count)

    def store_totals(
        self, totals: Sequence[Wide], shift: Expr, offset: Expr, count: int
    ) -> None:
        """Store 64-bit vectors that a significand was multiplied into.

        Args:
            totals: Numbers of ``wide``.
            shift: int64 scalar.
            offset: Element of the output.
            count: Elements that exist.
        """
        wide = self.wide
        round_totals = self.round_twice if self.op.mode == "tflite" else self._round_once
        zero_point, low, high = (
            vector.cast(value, "int64", 1) for value in (self.zero_point, self.low, self.high))
        moved = wide.same(zero_point)
        values = [
            wide.limit(rounded + moved, low, high) for rounded in round_totals(totals, shift)]
        self._store_integers(values, offset, count)

    def store_divided(self, accs: Sequence[Expr], offset: Expr, count: int) -> None:
        """Scale int32 vectors by the epilogue's one multiplier, round twice, and store.

        Only where the epilogue ``is_divided``.

        Args:
            accs: Vectors of ``isa.lanes`` lanes.
            offset: Element of the output.
            count: Elements that exist.
        """
        lanes = self.isa.lanes
        zero_point, low, high = (
            vector.splat(value, lanes) for value in (self.zero_point, self.low, self.high))
        significand, places, half = (
            vector.splat(vector.load(self.operands[name], 0), lanes)
            for name in ("significand", "places", "half"))
        values = []
        for acc in accs:
            rounded = round_divided(acc, significand, places, half, self.wide)
            values.append(vector.bind(clamp(rounded + zero_point, low, high)))
        self._store_integers(values, offset, count)

    def _round_once(self, totals: Sequence[Wide], shift: Expr) -> list[Wide]:
        """Emit ``octavo.targets.ops.requantize.round_once``."""
        wide, one = self.wide, T.int64(1)
        half, places = wide.same(T.shift_left(one, shift - one)), wide.same(shift)
        return [(total + half) >> places for total in totals]

    def round_twice(self, totals: Sequence[Wide], shift: Expr) -> list[Wide]:
        """Emit ``octavo.targets.ops.requantize.round_twice``."""
        wide, one = self.wide, T.int64(1)
        first = vector.bind(T.min(shift, T.int64(SIGNIFICAND_BITS)))
        more = vector.bind(shift - first)
        # not (1 << more) >> 1, which TVM 0.27 takes for 0
        is_more = vector.bind(T.min(more, one))
        half = wide.same(is_more * T.shift_left(one, T.max(more, one) - one))
        places, counts, signs = (wide.same(value) for value in (more, is_more, T.int64(63)))
        return [
            (high + half + (high >> signs) * counts) >> places
            for high in self._round_once(totals, first)]

    def _store_integers(self, values: Sequence[Expr], offset: Expr, count: int) -> None:
        """Store int32 vectors that are in range."""
        joined = None
        if self.op.dtype != WORD:
            joined = self.isa.narrow_vectors(values, self.op.dtype)
        if joined is None:
            lanes = self.isa.lanes
            joined = join([self.isa.narrow(v, self.op.dtype, lanes) for v in values], lanes)
        self._store(joined, offset, count)

    def _store(self, narrow: Expr, offset: Expr, count: int) -> None:
        lanes = vector.num_lanes(narrow)
        if self.op.has_table:
            narrow = look_up(
                self.isa, self.operands["table"], vector.bind(narrow), self.op.dtype, lanes)
        vector.store(self.operands["y"], offset, vector.take_first(narrow, count), count)


def scalar(operands: Mapping[str, Any], name: str, offset: Expr = 0) -> Expr:
    """Load one constant once, integers as int64."""
    value = vector.load(operands[name], offset)
    if np.dtype(str(operands[name].dtype)).kind == "i":
        value = vector.cast(value, "int64", 1)
    return vector.bind(value)


def centred(buffer: Any, offset: Expr, zero_point: Expr, lanes: int) -> Expr:
    """Load elements of 8 or 16 bits and subtract the zero point, int32."""
    wide = vector.cast(vector.load(buffer, offset, lanes), "int32", lanes)
    return wide - vector.splat(zero_point, lanes)
