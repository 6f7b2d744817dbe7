"""Softmax on a GPU: 16 lanes for each normalized row, by the steps of the reference."""

from collections.abc import Mapping
from typing import Any

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
    flat_constants,
    quotient,
    rest,
    to_int,
)
from octavo.targets.opencl.rows import Row, row_func
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
        return row_func(
            accelerator, parameters, op.inner * op.rows,
            lambda views, row: _emit(op, views, row))

    def constants(
        self, op: Softmax, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """The constants of the reference."""
        return flat_constants(_constants(op), arrays)


def _constants(op: Softmax) -> list[Parameter]:
    scale: list[Parameter] = [("inverse", 1, "float32")]
    if op.mode == "dyadic":
        scale = [("significand", 1, "int64"), ("shift", 1, "int64")]
    return [("table", TABLE_ENTRIES, "int32"), *scale, ("params", NUM_PARAMS, "int32")]


def _emit(op: Softmax, views: dict[str, View], row: Row) -> None:
    column = bind(rest(row.number, op.inner))
    base = bind(quotient(row.number, op.inner) * (op.extent * op.inner) + column)
    x = views["x"]
    most = row.total(
        row.reduce(op.extent, T.int32(-(1 << 30)), lambda part, i: T.max(
            part, x.load_int(base + i * op.inner))), T.max)  # fmt: skip

    def term(at: Expr) -> Expr:
        return views["table"].load(most - x.load_int(at))

    whole = row.total(row.reduce(
        op.extent, T.int32(0), lambda part, i: part + term(base + i * op.inner)))
    zero_point, low, high = (
        bind(views["params"].load(slot))
        for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
    if op.mode == "float32":
        ratio = bind(call("float32", "octavo_divide", views["inverse"].load(0),
                          tirx.Cast("float32", whole)))
    else:
        significand = T.shift_left(views["significand"].load(0), T.int64(SIGNIFICAND_BITS))
        ratio = bind(T.truncdiv(significand, tirx.Cast("int64", whole)))
        shift = bind(views["shift"].load(0) + T.int64(SIGNIFICAND_BITS))
        half = bind(T.shift_left(T.int64(1), shift - T.int64(1)))

    def store(i: Expr) -> None:
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

    with row.writing():
        row.each(op.extent, store)
