"""Softmax on a GPU: one work item per normalized row, by the steps of the reference."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.grid import (
    Expr,
    Parameter,
    View,
    bind,
    call,
    clamp,
    grid_func,
    local,
    loop,
    to_int,
)
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
    SIGNIFICAND_BITS,
)
from octavo.targets.ops.softmax import MAX_EXTENT, TABLE_ENTRIES, Softmax

Arrays = Mapping[str, NDArray[Any]]


class GpuSoftmax:
    """Serves every softmax of integers."""

    name = "gpu_softmax"

    def reject(self, op: Softmax, accelerator: Accelerator) -> str:
        """Accept every extent whose terms keep some precision."""
        return f"extent {op.extent}; at most {MAX_EXTENT}" if op.extent > MAX_EXTENT else ""

    def variant(self, op: Softmax, accelerator: Accelerator) -> str:
        """Name the device."""
        return f"{self.name}.{accelerator.name}"

    def build(self, op: Softmax, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        parameters = [
            ("x", op.elements, op.dtype), *_constants(op), ("y", op.elements, op.out_dtype)]
        return grid_func(
            accelerator, parameters, (op.inner, op.rows),
            lambda views, place: _emit(op, views, *place))

    def constants(
        self, op: Softmax, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """The constants of the reference."""
        return [
            np.asarray(arrays[name]).reshape(-1).astype(dtype)
            for name, _, dtype in _constants(op)
        ]


def _constants(op: Softmax) -> list[Parameter]:
    scale: list[Parameter] = [("inverse", 1, "float32")]
    if op.mode == "dyadic":
        scale = [("significand", 1, "int64"), ("shift", 1, "int64")]
    return [("table", TABLE_ENTRIES, "int32"), *scale, ("params", NUM_PARAMS, "int32")]


def _emit(op: Softmax, views: dict[str, View], column: Expr, row: Expr) -> None:
    base = bind(row * (op.extent * op.inner) + column)
    most, total = local(1, "int32"), local(1, "int32")
    T.buffer_store(most, T.int32(-(1 << 30)), [0])
    T.buffer_store(total, T.int32(0), [0])
    with loop(op.extent) as i:
        value = views["x"].load_int(base + i * op.inner)
        T.buffer_store(most, T.max(tirx.BufferLoad(most, [0]), value), [0])

    def term(at: Expr) -> Expr:
        return views["table"].load(tirx.BufferLoad(most, [0]) - views["x"].load_int(at))

    with loop(op.extent) as i:
        T.buffer_store(
            total, tirx.BufferLoad(total, [0]) + term(base + i * op.inner), [0])
    zero_point, low, high = (
        bind(views["params"].load(slot))
        for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
    whole = bind(tirx.BufferLoad(total, [0]))
    if op.mode == "float32":
        ratio = bind(call("float32", "octavo_divide", views["inverse"].load(0),
                          tirx.Cast("float32", whole)))
    else:
        significand = T.shift_left(views["significand"].load(0), T.int64(SIGNIFICAND_BITS))
        ratio = bind(T.truncdiv(significand, tirx.Cast("int64", whole)))
        shift = bind(views["shift"].load(0) + T.int64(SIGNIFICAND_BITS))
        half = bind(T.shift_left(T.int64(1), shift - T.int64(1)))
    with loop(op.extent) as i:
        at = bind(base + i * op.inner)
        if op.mode == "float32":
            limits = (tirx.Cast("float32", limit - zero_point) for limit in (low, high))
            real = bind(tirx.Cast("float32", term(at)) * ratio)
            rounded = to_int(clamp(real, *limits)) + zero_point
        else:
            scaled = T.shift_right(tirx.Cast("int64", term(at)) * ratio + half, shift)
            wide = [tirx.Cast("int64", value) for value in (zero_point, low, high)]
            rounded = tirx.Cast("int32", clamp(scaled + wide[0], wide[1], wide[2]))
        views["y"].store(at, tirx.Cast(op.out_dtype, rounded))
