"""Layer normalization of integers on a GPU: 16 lanes for each row."""

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
    exact,
    flat_constants,
    fma,
    to_int,
)
from octavo.targets.opencl.rows import Row, row_func
from octavo.targets.ops.layer_norm import MAX_EXTENT, MIN_VARIANCE, LayerNorm, inverse
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
)

Arrays = Mapping[str, NDArray[Any]]


class GpuLayerNorm:
    """Serves layer normalizations of integers that are rounded as real numbers."""

    name = "gpu_layer_norm"

    def reject(self, op: LayerNorm, accelerator: Accelerator) -> str:
        """Accept the float32 mode."""
        if op.mode != "float32":
            return "the dyadic mode"
        return f"extent {op.extent}; at most {MAX_EXTENT}" if op.extent > MAX_EXTENT else ""

    def variant(self, op: LayerNorm, accelerator: Accelerator) -> str:
        """Name the device."""
        return f"{self.name}.{accelerator.name}"

    def build(self, op: LayerNorm, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        parameters = [
            ("x", op.elements, op.dtype), *_constants(op), ("y", op.elements, op.out_dtype)]
        return row_func(
            accelerator, parameters, op.rows, lambda views, row: _emit(op, views, row))

    def constants(
        self, op: LayerNorm, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """The constants of the reference."""
        return flat_constants(_constants(op), arrays)


def _constants(op: LayerNorm) -> list[Parameter]:
    return [
        ("zero_point", 1, "int32"), ("params", NUM_PARAMS, "int32"),
        ("gain", op.extent, "float32"), ("offset", op.extent, "float32"),
        ("epsilon", 1, "float32"),
    ]  # fmt: skip


def _emit(op: LayerNorm, views: dict[str, View], row: Row) -> None:
    n = op.extent
    base, zero = bind(row.number * n), bind(views["zero_point"].load(0))

    def centred(i: Expr) -> Expr:
        return bind(views["x"].load_int(base + i) - zero)

    total = row.total(row.reduce(n, T.int32(0), lambda part, i: part + centred(i)))

    def add_square(part: Expr, i: Expr) -> Expr:
        value = centred(i)
        return part + value * value

    squares = row.total(row.reduce(n, T.int32(0), add_square))
    wide = tirx.Cast("int64", total)
    spread = bind(T.int64(n) * tirx.Cast("int64", squares) - wide * wide)
    variance = fma(
        tirx.Cast("float32", spread), exact(float(inverse(n * n)[0])),
        views["epsilon"].load(0))
    root = call(
        "float32", "octavo_root", T.max(variance, exact(float(MIN_VARIANCE))))
    ratio = bind(call("float32", "octavo_divide", exact(float(inverse(n)[0])), root))
    zero_point, low, high = (
        bind(views["params"].load(slot))
        for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
    limits = [bind(tirx.Cast("float32", limit - zero_point)) for limit in (low, high)]

    def store(i: Expr) -> None:
        normal = bind(tirx.Cast("float32", T.int32(n) * centred(i) - total) * ratio)
        real = bind(fma(normal, views["gain"].load(i), views["offset"].load(i)))
        rounded = to_int(clamp(real, *limits)) + zero_point
        views["y"].store(base + i, tirx.Cast(op.out_dtype, rounded))

    with row.writing():
        row.each(n, store)
