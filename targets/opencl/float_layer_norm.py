"""Layer normalization of float32 rows on a GPU, by the steps of the reference."""

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
from octavo.targets.ops.float_layer_norm import FloatLayerNorm
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
)

Arrays = Mapping[str, NDArray[Any]]


class GpuFloatLayerNorm:
    """Serves every float32 layer normalization."""

    name = "gpu_float_layer_norm"

    def reject(self, op: FloatLayerNorm, accelerator: Accelerator) -> str:
        """Accept everything."""
        return ""

    def variant(self, op: FloatLayerNorm, accelerator: Accelerator) -> str:
        """Name the device."""
        return f"{self.name}.{accelerator.name}"

    def build(self, op: FloatLayerNorm, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        parameters: list[Parameter] = [("x", op.elements, "float32"), *_constants(op)]
        if op.has_float:
            parameters.append(("y", op.elements, "float32"))
        if op.quantized is not None:
            parameters.append(("rounded", op.elements, op.quantized))
        return row_func(
            accelerator, parameters, op.rows,
            lambda views, row: _emit(op, views, row))

    def constants(
        self, op: FloatLayerNorm, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Pass the arrays as they are."""
        return flat_constants(_constants(op), arrays)


def _constants(op: FloatLayerNorm) -> list[Parameter]:
    names = ["gain", "offset"] if op.has_float else []
    names += ["step_gain", "step_offset"] if op.quantized is not None else []
    found: list[Parameter] = [(name, op.extent, "float32") for name in names]
    found.append(("epsilon", 1, "float32"))
    return found + ([("params", NUM_PARAMS, "int32")] if op.quantized is not None else [])


def _emit(op: FloatLayerNorm, views: dict[str, View], row: Row) -> None:
    base, extent = bind(row.number * op.extent), exact(op.extent)
    x, zero = views["x"], T.float32(0)
    total = row.total(row.reduce(
        op.extent, zero, lambda part, place: part + x.load(base + place)))
    mean = bind(call("float32", "octavo_divide", total, extent))

    def add_square(part: Expr, place: Expr) -> Expr:
        centred = bind(x.load(base + place) - mean)
        return fma(centred, centred, part)

    squares = row.total(row.reduce(op.extent, zero, add_square))
    variance = call("float32", "octavo_divide", squares, extent)
    root = bind(call("float32", "octavo_root", bind(variance + views["epsilon"].load(0))))
    ratio = bind(call("float32", "octavo_divide", T.float32(1.0), root))
    with row.writing():
        row.each(
            op.extent, lambda place: _write(op, views, base, place, mean, ratio))


def _write(
    op: FloatLayerNorm, views: dict[str, View], base: Expr, place: Expr, mean: Expr,
    ratio: Expr,
) -> None:
    normal = bind((views["x"].load(base + place) - mean) * ratio)
    if op.has_float:
        scaled = fma(normal, views["gain"].load(place), views["offset"].load(place))
        views["y"].store(base + place, scaled)
    if op.quantized is None:
        return
    zero_point, low, high = (
        bind(views["params"].load(slot))
        for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
    limits = [tirx.Cast("float32", limit - zero_point) for limit in (low, high)]
    steps = bind(fma(
        normal, views["step_gain"].load(place), views["step_offset"].load(place)))
    rounded = to_int(clamp(steps, *limits)) + zero_point
    views["rounded"].store(base + place, tirx.Cast(op.quantized, rounded))
