"""Emit the end of a multiply-accumulate kernel: see ``octavo.targets.ops.requantize``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_RESIDUAL_ZERO_POINT,
    PARAM_ZERO_POINT,
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
    if op.mode == "float32" or op.dtype == "float32":
        parameters.append(("multiplier", channels, "float32"))
    else:
        parameters += [("significand", channels, "int32"), ("shift", channels, "int32")]
    if op.dtype != "float32":
        parameters.append(("params", NUM_PARAMS, "int32"))
    if op.residual and op.mode == "float32":
        parameters.append(("residual_multiplier", 1, "float32"))
    elif op.residual:
        parameters.append(("residual_significand", channels, "int64"))
    if op.has_table:
        parameters.append(("table", TABLE_ENTRIES, op.dtype))
    return parameters


def constant_arrays(
    op: Requantize, channels: int, constants: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Pick and convert the epilogue's constants, by operand name."""
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
    """

    op: Requantize
    isa: Isa
    operands: Mapping[str, Any]

    def emit(self, acc: Expr, channel: Expr, offset: Expr, lanes: int) -> None:
        """Finish and store ``lanes`` consecutive channels of one pixel.

        Args:
            acc: int32, ``lanes`` lanes, bias included.
            channel: First channel.
            offset: Element offset in the output, and in the residual.
            lanes: Number of lanes.
        """
        if self.op.dtype == "float32":
            value = vector.cast(acc, "float32", lanes) * self._load("multiplier", channel, lanes)
            vector.store(self.operands["y"], offset, value, lanes)
            return
        rounded = (self._float32 if self.op.mode == "float32" else self._dyadic)(
            acc, channel, offset, lanes)
        narrow = self.isa.narrow(rounded, self.op.dtype, lanes)
        if self.op.has_table:
            self._store_looked_up(narrow, offset, lanes)
        else:
            vector.store(self.operands["y"], offset, narrow, lanes)

    def _load(self, name: str, offset: Expr, lanes: int) -> Expr:
        return vector.load(self.operands[name], offset, lanes)

    def _param(self, slot: int) -> Expr:
        return vector.load(self.operands["params"], slot)

    def _residual(self, offset: Expr, lanes: int) -> Expr:
        wide = vector.cast(self._load("residual", offset, lanes), "int32", lanes)
        return wide - vector.splat(self._param(PARAM_RESIDUAL_ZERO_POINT), lanes)

    def _float32(self, acc: Expr, channel: Expr, offset: Expr, lanes: int) -> Expr:
        real = vector.cast(acc, "float32", lanes) * self._load("multiplier", channel, lanes)
        if self.op.residual:
            residual = vector.cast(self._residual(offset, lanes), "float32", lanes)
            scale = vector.splat(self._load("residual_multiplier", 0, 1), lanes)
            real = vector.fma(residual, scale, real, lanes)
        zero_point = self._param(PARAM_ZERO_POINT)
        low, high = (
            vector.splat(vector.cast(self._param(slot) - zero_point, "float32", 1), lanes)
            for slot in (PARAM_QMIN, PARAM_QMAX)
        )
        # Limits are integers, so limiting first rounds to the same value and keeps the
        # conversion in range.
        rounded = self.isa.round_to_int32(clamp(real, low, high), lanes)
        return rounded + vector.splat(zero_point, lanes)

    def _dyadic(self, acc: Expr, channel: Expr, offset: Expr, lanes: int) -> Expr:
        def wide(value: Expr) -> Expr:
            return vector.cast(value, "int64", lanes)

        significand = wide(self._load("significand", channel, lanes))
        shift = wide(self._load("shift", channel, lanes))
        total = wide(acc) * significand
        if self.op.residual:
            scale = self._load("residual_significand", channel, lanes)
            total = total + wide(self._residual(offset, lanes)) * scale
        one = vector.splat(T.int64(1), lanes)
        rounded = T.shift_right(total + T.shift_left(one, shift - one), shift)
        zero_point, low, high = (
            vector.splat(vector.cast(self._param(slot), "int64", 1), lanes)
            for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX)
        )
        return vector.cast(clamp(rounded + zero_point, low, high), "int32", lanes)

    def _store_looked_up(self, narrow: Expr, offset: Expr, lanes: int) -> None:
        index = narrow if self.op.dtype == "uint8" else T.reinterpret(
            vector.vector_type("uint8", lanes), narrow)
        found = self.isa.lookup(self.operands["table"], index, self.op.dtype, lanes)
        if found is not None:
            vector.store(self.operands["y"], offset, found, lanes)
            return
        indices = vector.local(lanes, "uint8")
        vector.store(indices, 0, index, lanes)
        with vector.loop(lanes) as lane:
            at = vector.cast(vector.load(indices, lane), "int32", 1)
            vector.store(self.operands["y"], offset + lane,
                         vector.load(self.operands["table"], at))
