"""Pools over windows of integer NHWC tensors on a GPU: quads of channels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.epilogue import (
    each_quad,
    emit_rescaled,
    epilogue_arrays,
    epilogue_parameters,
    store_lanes,
)
from octavo.targets.opencl.grid import (
    QUAD,
    Expr,
    View,
    bind,
    call,
    grid_func,
    local,
    loop,
    quad_cast,
    splat,
)
from octavo.targets.opencl.pixels import output_place, read_pixel
from octavo.targets.ops.pool import AveragePool, MaxPool

Arrays = Mapping[str, NDArray[Any]]
MAX_TAPS = 2**31 // 512  # sums of centred bytes stay in int32


class GpuMaxPool:
    """Serves maxima of integers."""

    name = "gpu_max_pool"

    def reject(self, op: MaxPool, accelerator: Accelerator) -> str:
        """Accept integers."""
        return "float32 arithmetic" if op.dtype == "float32" else ""

    def variant(self, op: MaxPool, accelerator: Accelerator) -> str:
        """Name the device."""
        return f"{self.name}.{accelerator.name}"

    def build(self, op: MaxPool, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        return grid_func(
            accelerator,
            [("x", op.in_elements, op.dtype), ("y", op.out_elements, op.dtype)],
            _extents(op),
            lambda views, place: _emit_max(op, views, *place),
        )

    def constants(
        self, op: MaxPool, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Need none."""
        return []


class GpuAveragePool:
    """Serves averages of integers."""

    name = "gpu_average_pool"

    def reject(self, op: AveragePool, accelerator: Accelerator) -> str:
        """Accept integers whose sums fit."""
        if op.dtype == "float32":
            return "float32 arithmetic"
        if op.kernel_h * op.kernel_w > MAX_TAPS:
            return f"windows of {op.kernel_h} x {op.kernel_w}; at most {MAX_TAPS} elements"
        return ""

    def variant(self, op: AveragePool, accelerator: Accelerator) -> str:
        """Name the device."""
        return f"{self.name}.{accelerator.name}"

    def build(self, op: AveragePool, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        parameters = [
            ("x", op.in_elements, op.dtype),
            ("zero_point", 1, "int32"),
            *epilogue_parameters(op.requantize, op.out_h * op.out_w),
            ("y", op.out_elements, op.requantize.dtype),
        ]
        return grid_func(
            accelerator, parameters, _extents(op),
            lambda views, place: _emit_average(op, views, *place))

    def constants(
        self, op: AveragePool, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Zero point of the input, multipliers of every output pixel."""
        pixels = op.out_h * op.out_w
        zero_point = np.asarray(arrays["zero_point"]).reshape(-1).astype(np.int32)
        return [zero_point, *epilogue_arrays(op.requantize, pixels, arrays, _same)]


def _same(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values)


def _extents(op: MaxPool) -> tuple[int, int]:
    return -(-op.channels // QUAD), op.batch * op.out_h * op.out_w


def _emit_max(op: MaxPool, views: dict[str, View], number: Expr, pixel: Expr) -> None:
    place, channel = output_place(op, pixel), bind(number * QUAD)
    lowest = splat(T.int32(int(np.iinfo(op.dtype).min)))
    acc = local(1, "int32x4")
    T.buffer_store(acc, lowest, [0])
    with loop(op.kernel_h) as kh, loop(op.kernel_w) as kw:
        at, inside = read_pixel(op, place, kh, kw)
        value = quad_cast(views["x"].load_quad(at + channel), "int32")
        value = bind(call("int32x4", "octavo_pick4", inside, value, lowest))
        T.buffer_store(acc, T.max(tirx.BufferLoad(acc, [0]), value), [0])
    found = bind(quad_cast(tirx.BufferLoad(acc, [0]), op.dtype))
    offset = bind(pixel * op.out_pixel + channel)
    each_quad(op.channels, number, lambda valid: store_lanes(views["y"], found, offset, valid))


def _emit_average(op: AveragePool, views: dict[str, View], number: Expr, pixel: Expr) -> None:
    place, channel = output_place(op, pixel), bind(number * QUAD)
    zero_point = bind(splat(views["zero_point"].load(0)))
    acc = local(1, "int32x4")
    T.buffer_store(acc, splat(T.int32(0)), [0])
    with loop(op.kernel_h) as kh, loop(op.kernel_w) as kw:
        at, inside = read_pixel(op, place, kh, kw)
        value = quad_cast(views["x"].load_quad(at + channel), "int32")
        value = call("int32x4", "octavo_pick4", inside, value, zero_point)
        T.buffer_store(acc, tirx.BufferLoad(acc, [0]) + (value - zero_point), [0])
    _, row, column = place
    scale = bind(row * op.out_w + column)
    offset = bind(pixel * op.out_pixel + channel)
    total = bind(tirx.BufferLoad(acc, [0]))
    each_quad(
        op.channels, number,
        lambda valid: emit_rescaled(op.requantize, views, total, scale, offset, valid))
