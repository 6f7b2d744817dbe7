"""The end of a multiply-accumulate kernel on a GPU: see ``octavo.targets.ops.requantize``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.opencl.grid import (
    QUAD,
    Expr,
    Parameter,
    View,
    bind,
    call,
    clamp,
    fma_quad,
    lane,
    quad_cast,
    splat,
    to_int_quad,
    when,
)
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_RESIDUAL_ZERO_POINT,
    PARAM_ZERO_POINT,
    Requantize,
)

TABLE_ENTRIES = 256


def is_dyadic(op: Requantize) -> bool:
    """Whether results come from 64-bit integers."""
    return op.mode == "dyadic" and op.dtype != "float32"


def epilogue_parameters(op: Requantize, channels: int) -> list[Parameter]:
    """Constant operands of the epilogue, in order; ``channels`` values per channel."""
    parameters: list[Parameter] = []
    if is_dyadic(op):
        parameters += [("significand", channels, "int32"), ("shift", channels, "int32")]
    else:
        parameters.append(("multiplier", channels, "float32"))
    if op.dtype != "float32":
        parameters.append(("params", NUM_PARAMS, "int32"))
    if op.residual not in (None, "float32"):
        parameters.append(
            ("residual_significand", channels, "int64")
            if is_dyadic(op) else ("residual_multiplier", 1, "float32"))
    if op.has_table:
        parameters.append(("table", TABLE_ENTRIES, op.dtype))
    return parameters


def epilogue_arrays(
    op: Requantize, channels: int, constants: Mapping[str, NDArray[Any]], pack: Any
) -> list[NDArray[Any]]:
    """Pick and convert the epilogue's constants.

    Args:
        op: The epilogue.
        channels: Length of ``pack``'s results.
        constants: The operation's, by name.
        pack: Brings an array of one value per channel into the kernel's order.
    """
    arrays = []
    for name, count, dtype in epilogue_parameters(op, channels):
        values = np.asarray(constants[name]).astype(dtype).reshape(-1)
        per_channel = name in ("significand", "shift", "multiplier", "residual_significand")
        arrays.append(pack(values) if per_channel else values[:count])
    return arrays


@dataclass(frozen=True)
class QuadEpilogue:
    """Emits the epilogue for quads of consecutive channels.

    Attributes:
        op: The epilogue.
        views: Tensors by name: the constants, "residual" and "y".
    """

    op: Requantize
    views: Mapping[str, View]

    def emit(self, acc: Expr, channel: Expr, offset: Expr, valid: int = QUAD) -> None:
        """Finish and store a quad.

        Args:
            acc: int32 quad, bias included.
            channel: Where its constants are.
            offset: Element of the output, and of the residual.
            valid: Lanes that are stored.
        """
        y = self.views["y"]
        if self.op.dtype == "float32":
            store_lanes(y, bind(self._real_result(acc, channel, offset)), offset, valid)
            return
        rounded = (self._dyadic if is_dyadic(self.op) else self._float32)(
            acc, channel, offset)
        store_rounded(self.op, self.views, rounded, offset, valid)

    def _param(self, slot: int) -> Expr:
        return self.views["params"].load(slot)

    def _residual(self, offset: Expr) -> Expr:
        """Read beyond the last channel where there are fewer than four: nothing keeps it."""
        return self.views["residual"].load_quad(offset)

    def _centred_residual(self, offset: Expr) -> Expr:
        wide = quad_cast(self._residual(offset), "int32")
        return wide - splat(self._param(PARAM_RESIDUAL_ZERO_POINT))

    def _real_result(self, acc: Expr, channel: Expr, offset: Expr) -> Expr:
        scale = self.views["multiplier"].load_quad(channel)
        value = quad_cast(acc, "float32")
        if self.op.residual:
            return fma_quad(value, scale, self._residual(offset))
        return value * scale

    def _float32(self, acc: Expr, channel: Expr, offset: Expr) -> Expr:
        real = quad_cast(acc, "float32") * self.views["multiplier"].load_quad(channel)
        if self.op.residual:
            residual = quad_cast(self._centred_residual(offset), "float32")
            scale = splat(self.views["residual_multiplier"].load(0))
            real = fma_quad(residual, scale, real)
        return round_real(bind(real), self.views["params"])

    def _dyadic(self, acc: Expr, channel: Expr, offset: Expr) -> Expr:
        significand = quad_cast(self.views["significand"].load_quad(channel), "int64")
        shift = bind(quad_cast(self.views["shift"].load_quad(channel), "int64"))
        total = quad_cast(acc, "int64") * significand
        if self.op.residual:
            scale = self.views["residual_significand"].load_quad(channel)
            total = total + quad_cast(self._centred_residual(offset), "int64") * scale
        return round_dyadic(total, shift, self.views["params"])


def round_real(real: Expr, params: View) -> Expr:
    """Round and saturate a float32 quad, in output steps, to int32."""
    zero_point = params.load(PARAM_ZERO_POINT)
    low, high = (
        splat(tirx.Cast("float32", params.load(slot) - zero_point))
        for slot in (PARAM_QMIN, PARAM_QMAX))
    # Limits are integers: limiting first rounds to the same value, and in range.
    return to_int_quad(clamp(real, low, high)) + splat(zero_point)


def round_dyadic(total: Expr, shift: Expr, params: View) -> Expr:
    """Round and saturate an int64 quad that a significand was multiplied into, to int32."""
    one = splat(T.int64(1))
    rounded = T.shift_right(total + T.shift_left(one, shift - one), shift)
    zero_point, low, high = (
        splat(tirx.Cast("int64", params.load(slot)))
        for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
    return quad_cast(clamp(rounded + zero_point, low, high), "int32")


def store_lanes(y: View, value: Expr, offset: Expr, valid: int) -> None:
    """Store the first lanes of a quad."""
    if valid == QUAD:
        y.store_quad(offset, value)
        return
    for i in range(valid):
        y.store(offset + i, lane(value, i))


def store_rounded(
    op: Requantize, views: Mapping[str, View], rounded: Expr, offset: Expr, valid: int = QUAD
) -> None:
    """Store an int32 quad that is in range, through the table if there is one."""
    y = views["y"]
    narrow = bind(quad_cast(rounded, op.dtype))
    if not op.has_table:
        store_lanes(y, narrow, offset, valid)
        return
    index = bind(call("uint8x4", "as_uchar4", narrow))
    for i in range(valid):
        y.store(offset + i, views["table"].load(tirx.Cast("int32", lane(index, i))))


def emit_rescaled(
    op: Requantize, views: Mapping[str, View], acc: Expr, at: Expr, offset: Expr,
    valid: int = QUAD,
) -> None:
    """Finish and store a quad whose lanes have one multiplier.

    Args:
        op: The epilogue, without residual.
        views: Tensors by name: the constants and "y".
        acc: int32 quad.
        at: Number of the multiplier.
        offset: Element of the output.
        valid: Lanes that are stored.
    """
    if is_dyadic(op):
        significand, shift = (
            splat(tirx.Cast("int64", views[name].load(at)))
            for name in ("significand", "shift"))
        total = quad_cast(acc, "int64") * significand
        store_rounded(op, views, round_dyadic(total, shift, views["params"]), offset, valid)
        return
    real = bind(quad_cast(acc, "float32") * splat(views["multiplier"].load(at)))
    finish_real(op, views, real, offset, valid)


def finish_real(
    op: Requantize, views: Mapping[str, View], real: Expr, offset: Expr, valid: int = QUAD
) -> None:
    """Store a float32 quad, rounded unless the output is real."""
    if op.dtype == "float32":
        store_lanes(views["y"], real, offset, valid)
    else:
        store_rounded(op, views, round_real(real, views["params"]), offset, valid)


def each_quad(count: int, number: Expr, emit: Callable[[int], None]) -> None:
    """Call ``emit`` with the lanes that exist of quad ``number`` of ``count`` elements."""
    whole, rest = divmod(count, QUAD)
    if not rest:
        emit(QUAD)
        return
    if whole:
        with when(number < whole):
            emit(QUAD)
    with when(number == whole):
        emit(rest)


def emit_quads(
    finish: QuadEpilogue, accs: Sequence[Expr], first: Expr, quads: int, channels: int,
    constants_at: Expr, offset: Expr,
) -> None:
    """Finish the quads of one work item, of which the last ones may be partial or not exist.

    Args:
        finish: The epilogue.
        accs: Consecutive int32 quads.
        first: Number of the first one among those of the pixel's group.
        quads: Number of quads of the group.
        channels: Number of channels of the group.
        constants_at: Where the constants of quad 0 are.
        offset: Element of the group's first channel.
    """
    whole, rest = divmod(channels, QUAD)
    always = len(accs) == 1 and not rest  # the grid has no other work items
    for index, acc in enumerate(accs):
        number = first + index

        def emit(valid: int, acc: Expr = acc, number: Expr = number) -> None:
            finish.emit(acc, constants_at + number * QUAD, offset + number * QUAD, valid)

        if always or (isinstance(number, int) and number < whole):
            emit(QUAD)
            continue
        if whole:
            with when(number < whole):
                emit(QUAD)
        if rest:
            with when(number == quads - 1):
                emit(rest)
