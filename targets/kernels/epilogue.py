"""Emit the end of a multiply-accumulate kernel: see ``octavo.targets.ops.requantize``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.dyadic_sum import DyadicSum
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa, clamp
from octavo.targets.kernels.twice_rounded import round_divided, round_once, round_twice
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_RESIDUAL_ZERO_POINT,
    PARAM_ZERO_POINT,
    SIGNIFICAND_BITS,
    Requantize,
)

TABLE_ENTRIES = 256
Parameter = tuple[str, int, str]


def constant_parameters(op: Requantize, channels: int) -> list[Parameter]:
    """Constant operands of the epilogue, in order.

    Args:
        op: The epilogue.
        channels: Output channels.
    """
    parameters: list[Parameter] = []
    is_real = op.mode == "float32" or op.dtype == "float32"
    if is_real:
        parameters.append(("multiplier", channels, "float32"))
    else:
        parameters += [("significand", channels, "int32"), ("shift", channels, "int32")]
        if op.is_divided:
            parameters += [("places", channels, "int32"), ("half", channels, "int32")]
    if op.dtype != "float32":
        parameters.append(("params", NUM_PARAMS, "int32"))
    if op.residual not in (None, "float32"):
        parameters.append(
            ("residual_multiplier", 1, "float32")
            if is_real else ("residual_significand", channels, "int64"))
    if op.has_table:
        parameters.append(("table", TABLE_ENTRIES, op.dtype))
    return parameters


def constant_arrays(
    op: Requantize, channels: int, constants: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Pick and convert the epilogue's constants, by operand name."""
    if op.is_divided and op.is_integer:
        places = constants["shift"].astype(np.int32) - np.int32(SIGNIFICAND_BITS)
        constants = {**constants, "places": places, "half": (1 << places) >> 1}
    return {
        name: np.ascontiguousarray(constants[name].astype(dtype)).reshape(-1)
        for name, _, dtype in constant_parameters(op, channels)
    }


@dataclass(frozen=True)
class Epilogue:
    """Emits the epilogue for vectors of int32 lanes.

    Attributes:
        op: The epilogue.
        isa: Instructions.
        operands: Buffers by operand name: the constants, "residual" and "y".
        in_blocks: Accumulators and constants per channel are in the order of
            ``Isa.spread_blocks``; not with a residual.
    """

    op: Requantize
    isa: Isa
    operands: Mapping[str, Any]
    in_blocks: bool = False

    def emit_vectors(
        self, accs: Sequence[Expr], channel: Expr, offset: Expr, channels: int
    ) -> None:
        """Finish whole vectors of one pixel and store the channels that exist.

        Args:
            accs: int32 vectors of ``isa.lanes`` lanes, bias included.
            channel: First channel.
            offset: Element offset in the output, and in the residual.
            channels: Channels to store; only the last vector may be partial.
        """
        lanes = self.isa.lanes
        for first in range(0, len(accs), JOINED_VECTORS):
            group = accs[first : first + JOINED_VECTORS]
            at = first * lanes
            valid = min(channels - at, len(group) * lanes)
            if not self._emit_joined(group, channel + at, offset + at, valid):
                emit_each(self.emit, group, channel + at, offset + at, valid, lanes)

    def emit_adjacent(
        self, pixels: Sequence[Sequence[Expr]], channel: Expr, offset: Expr
    ) -> None:
        """Finish pixels that follow each other in memory without gaps.

        Three vectors of each of four pixels are joined as three times four, not as four times
        three.

        Args:
            pixels: Of each pixel all its channels, as of ``emit_vectors``; all of them exist.
            channel: First channel.
            offset: Element offset of the first pixel in the output, and in the residual.
        """
        lanes, vectors = self.isa.lanes, len(pixels[0])
        if self.op.dtype == "float32" or self.op.mode != "float32":
            for p, accs in enumerate(pixels):
                at = offset + p * vectors * lanes
                self.emit_vectors(accs, channel, at, vectors * lanes)
            return
        flat = [
            (acc, channel + v * lanes, offset + (p * vectors + v) * lanes)
            for p, accs in enumerate(pixels) for v, acc in enumerate(accs)]
        for first in range(0, len(flat), JOINED_VECTORS):
            group = flat[first : first + JOINED_VECTORS]
            reals = [self._real(*place, lanes) for place in group]
            joined = self.isa.quantize_vectors(
                reals, *self._limits(), self.op.dtype, self.in_blocks)
            if joined is not None:
                self._store(joined, group[0][2], len(group) * lanes)
                continue
            for place in group:
                self.emit(*place, lanes)

    @property
    def takes_blocks(self) -> bool:
        """Whether ``emit_block`` can be called."""
        is_real = self.op.mode == "float32" and self.op.dtype != "float32"
        return self.isa.quantizes_blocks and is_real

    def emit_block(
        self, accs: Sequence[Sequence[Expr]], channel: Expr, offsets: Sequence[Expr],
        channels: int,
    ) -> None:
        """Finish the accumulators of a block of rows.

        Args:
            accs: Of each vector of channels its accumulators, bias included.
            channel: First channel.
            offsets: Element offsets of the rows in the output, and in the residual; the rows
                behind the last one are not stored.
            channels: As of ``emit_vectors``.
        """
        lanes = self.isa.lanes
        for first in range(0, len(accs), JOINED_VECTORS):
            group = accs[first : first + JOINED_VECTORS]
            at = first * lanes
            reals = [
                self._block_reals(block, channel + at + v * lanes,
                                  [offset + at + v * lanes for offset in offsets])
                for v, block in enumerate(group)]
            rows = self.isa.quantize_blocks(reals, *self._limits(), self.op.dtype)
            valid = min(channels - at, len(group) * lanes)
            for row, offset in zip(rows, offsets, strict=False):
                self._store(row, offset + at, valid)

    def _block_reals(
        self, accs: Sequence[Expr], channel: Expr, offsets: Sequence[Expr]
    ) -> list[Expr]:
        """Scale the accumulators of one vector of channels."""
        isa, lanes = self.isa, self.isa.lanes
        scale = vector.bind(self._load("multiplier", channel, lanes))
        scales = isa.start_block([scale] * isa.block_rows)
        reals = [
            vector.cast(acc, "float32", lanes) * factors
            for acc, factors in zip(accs, scales, strict=True)]
        if not self.op.residual:
            return reals
        whole = [offsets[min(row, len(offsets) - 1)] for row in range(isa.block_rows)]
        more = isa.start_block([
            vector.bind(vector.cast(self._residual(offset, lanes), "float32", lanes))
            for offset in whole])
        unit = vector.splat(self._load("residual_multiplier", 0, 1), lanes)
        return [vector.fma(m, unit, real, lanes) for m, real in zip(more, reals, strict=True)]

    def _emit_joined(
        self, accs: Sequence[Expr], channel: Expr, offset: Expr, channels: int
    ) -> bool:
        """Store several vectors at once; False where the instructions cannot join them."""
        if self.op.dtype == "float32":
            return False
        if self.op.mode == "float32":
            joined = self._join_reals(accs, channel, offset)
        elif self.op.mode == "dyadic" and self.isa.joins_sums:
            joined = self._join_sums(accs, channel, offset, channels)
        elif self.op.is_divided and not (self.op.residual or self.isa.has_word_pairs):
            joined = self._join_divided(accs, channel)
        else:
            return False  # operands of 8 bytes a lane may end before a whole vector does
        if joined is None:
            return False
        self._store(joined, offset, channels)
        return True

    def _join_reals(self, accs: Sequence[Expr], channel: Expr, offset: Expr) -> Expr | None:
        """Scale in float32; lanes behind the last channel read whatever follows."""
        lanes = self.isa.lanes
        reals = [
            self._real(acc, channel + i * lanes, offset + i * lanes, lanes)
            for i, acc in enumerate(accs)
        ]
        return self.isa.quantize_vectors(
            reals, *self._limits(), self.op.dtype, self.in_blocks)

    def _join_sums(
        self, accs: Sequence[Expr], channel: Expr, offset: Expr, channels: int
    ) -> Expr:
        """Scale by integers, as ``_join_reals``; ``channels`` of them exist."""
        lanes = self.isa.lanes
        sums = [
            self._sum(acc, channel + i * lanes, offset + i * lanes, channels - i * lanes)
            for i, acc in enumerate(accs)
        ]
        return self.isa.requantize_vectors(sums, *self._limits(), self.op.dtype)

    def _join_divided(self, accs: Sequence[Expr], channel: Expr) -> Expr:
        """Round twice, as ``_join_reals``."""
        lanes = self.isa.lanes
        wide = self.isa.wide_lanes(lanes)
        zero_point, low, high = (
            vector.splat(self._param(slot), lanes)
            for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
        values = []
        for i, acc in enumerate(accs):
            significand, places, half = (
                self._load(name, channel + i * lanes, lanes)
                for name in ("significand", "places", "half"))
            moved = round_divided(acc, significand, places, half, wide) + zero_point
            values.append(vector.bind(clamp(moved, low, high)))
        joined = self.isa.narrow_vectors(values, self.op.dtype, self.in_blocks)
        if joined is None:
            joined = vector.concatenate(
                [vector.bind(self.isa.narrow(v, self.op.dtype, lanes)) for v in values])
        return vector.bind(joined)

    def _limits(self) -> tuple[Expr | None, Expr | None, Expr | None]:
        """Zero point, lowest and highest result; None where the type's own will do."""
        return (
            self._param(PARAM_ZERO_POINT) if self.op.has_zero_point else None,
            self._param(PARAM_QMIN) if self.op.has_limits else None,
            self._param(PARAM_QMAX) if self.op.has_limits else None,
        )

    def _sum(self, acc: Expr, channel: Expr, offset: Expr, channels: int) -> DyadicSum:
        """Operands of ``Isa.requantize_vectors``."""
        lanes = self.isa.lanes
        significand = self._load("significand", channel, lanes)
        shift = vector.bind(self._load("shift", channel, lanes))
        if not self.op.residual:
            return DyadicSum(acc, significand, shift)
        more = vector.bind(self._residual(offset, lanes))
        scales = self.operands["residual_significand"]
        low, high = vector.load_words(scales, channel, lanes, min(channels, lanes))
        return DyadicSum(acc, significand, shift, more, low, high)

    def emit(self, acc: Expr, channel: Expr, offset: Expr, lanes: int) -> None:
        """Finish and store ``lanes`` consecutive channels of one pixel.

        Args:
            acc: int32, ``lanes`` lanes, bias included.
            channel: First channel.
            offset: Element offset in the output, and in the residual.
            lanes: Number of lanes.
        """
        if self.op.dtype == "float32":
            if lanes > self.isa.of_reals.lanes:
                held = vector.local(lanes, "int32")
                vector.store(held, 0, acc, lanes)
                with vector.loop(lanes) as lane:
                    self._store_real(
                        vector.load(held, lane), channel + lane, offset + lane, 1)
                return
            self._store_real(acc, channel, offset, lanes)
            return
        rounded = (self._float32 if self.op.mode == "float32" else self._integers)(
            acc, channel, offset, lanes)
        narrow = self.isa.narrow(rounded, self.op.dtype, lanes)
        self._store(narrow, offset, lanes)

    def _store_real(self, acc: Expr, channel: Expr, offset: Expr, lanes: int) -> None:
        scale = self._load("multiplier", channel, lanes)
        value = vector.cast(acc, "float32", lanes)
        if self.op.residual:
            value = vector.fma(value, scale, self._load("residual", offset, lanes), lanes)
        else:
            value = value * scale
        vector.store(self.operands["y"], offset, value, lanes)

    def _load(self, name: str, offset: Expr, lanes: int) -> Expr:
        return vector.load(self.operands[name], offset, lanes)

    def _param(self, slot: int) -> Expr:
        return vector.load(self.operands["params"], slot)

    def _residual(self, offset: Expr, lanes: int) -> Expr:
        wide = vector.cast(self._load("residual", offset, lanes), "int32", lanes)
        return wide - vector.splat(self._param(PARAM_RESIDUAL_ZERO_POINT), lanes)

    def _real(self, acc: Expr, channel: Expr, offset: Expr, lanes: int) -> Expr:
        real = vector.cast(acc, "float32", lanes) * self._load("multiplier", channel, lanes)
        if self.op.residual:
            residual = vector.cast(self._residual(offset, lanes), "float32", lanes)
            scale = vector.splat(self._load("residual_multiplier", 0, 1), lanes)
            real = vector.fma(residual, scale, real, lanes)
        return real

    def _float32(self, acc: Expr, channel: Expr, offset: Expr, lanes: int) -> Expr:
        real = self._real(acc, channel, offset, lanes)
        zero_point = self._param(PARAM_ZERO_POINT)
        low, high = (
            vector.splat(vector.cast(self._param(slot) - zero_point, "float32", 1), lanes)
            for slot in (PARAM_QMIN, PARAM_QMAX)
        )
        # Limits are integers, so limiting first rounds to the same value and keeps the
        # conversion in range.
        rounded = self.isa.round_to_int32(clamp(real, low, high), lanes)
        return rounded + vector.splat(zero_point, lanes)

    def _integers(self, acc: Expr, channel: Expr, offset: Expr, lanes: int) -> Expr:
        def wide(value: Expr) -> Expr:
            return vector.cast(value, "int64", lanes)

        significand = wide(self._load("significand", channel, lanes))
        shift = wide(self._load("shift", channel, lanes))
        total = wide(acc) * significand
        if self.op.residual:
            scale = self._load("residual_significand", channel, lanes)
            total = total + wide(self._residual(offset, lanes)) * scale
        rounded = (round_twice if self.op.mode == "tflite" else round_once)(
            total, shift, lanes)
        zero_point, low, high = (
            vector.splat(vector.cast(self._param(slot), "int64", 1), lanes)
            for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX)
        )
        return vector.cast(clamp(rounded + zero_point, low, high), "int32", lanes)

    def _store(self, narrow: Expr, offset: Expr, valid: int) -> None:
        """Store the first ``valid`` lanes of an 8-bit vector, through the table if any."""
        lanes = vector.num_lanes(narrow)
        y = self.operands["y"]
        if self.op.has_table:
            index = narrow if self.op.dtype == "uint8" else T.reinterpret(
                vector.vector_type("uint8", lanes), narrow)
            index = vector.bind(index)
            found = self.isa.lookup(self.operands["table"], index, self.op.dtype, lanes)
            if found is None:
                self._store_one_by_one(index, offset, valid)
                return
            narrow = found
        self.isa.store_first(y, offset, narrow, valid)

    def _store_one_by_one(self, index: Expr, offset: Expr, valid: int) -> None:
        lanes = vector.num_lanes(index)
        indices = vector.local(lanes, "uint8")
        vector.store(indices, 0, index, lanes)
        with vector.loop(valid) as lane:
            at = vector.cast(vector.load(indices, lane), "int32", 1)
            vector.store(self.operands["y"], offset + lane,
                         vector.load(self.operands["table"], at))


def emit_each(
    emit: Callable[[Expr, Expr, Expr, int], None],
    accs: Sequence[Expr], channel: Expr, offset: Expr, channels: int, lanes: int,
) -> None:
    """Finish vectors of consecutive channels one by one.

    Args:
        emit: ``Epilogue.emit``.
        accs: Vectors of ``lanes`` lanes.
        channel: First channel.
        offset: First element of the output.
        channels: Channels that exist; only the last vector may be partial.
        lanes: Lanes of a vector.
    """
    for i, acc in enumerate(accs):
        valid = min(lanes, channels - i * lanes)
        emit(vector.take_first(acc, valid), channel + i * lanes, offset + i * lanes, valid)
