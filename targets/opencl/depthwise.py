"""Depthwise convolution on a GPU: quads of channels, some pixels of a row per work item."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.epilogue import (
    QuadEpilogue,
    each_quad,
    epilogue_arrays,
    epilogue_parameters,
)
from octavo.targets.opencl.grid import (
    QUAD,
    Expr,
    Parameter,
    View,
    bind,
    call,
    grid_func,
    local,
    loop,
    quad_cast,
    splat,
)
from octavo.targets.opencl.pixels import may_leave, output_element, output_place, read_pixel
from octavo.targets.opencl.tiles import depthwise_tile
from octavo.targets.ops.conv import Conv

Arrays = Mapping[str, NDArray[Any]]


class GpuDepthwise:
    """Serves integer convolutions in which every channel is a group of its own."""

    name = "gpu_depthwise"

    def reject(self, op: Conv, accelerator: Accelerator) -> str:
        """Accept one input and one output channel per group."""
        if op.dtype == "float32":
            return "float32 arithmetic"
        return "" if op.group_in == op.group_out == 1 else "groups of several channels"

    def variant(self, op: Conv, accelerator: Accelerator) -> str:
        """Name the device and the tile."""
        return f"{self.name}.{accelerator.name}.{_pixels(op, accelerator)}x{QUAD}"

    def build(self, op: Conv, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        tiles = -(-_total(op) // _pixels(op, accelerator))
        return grid_func(
            accelerator,
            _parameters(op),
            (_quads(op), tiles),
            lambda views, place: _emit(op, _pixels(op, accelerator), views, *place),
        )

    def constants(
        self, op: Conv, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Pack weights by tap, fold the input zero point into the bias."""
        weight = arrays["weight"].reshape(op.out_c, -1)
        zero_point = int(arrays["zero_point"].reshape(-1)[0])
        sums = weight.astype(np.int64).sum(axis=1)
        bias = (arrays["bias"].astype(np.int64) - zero_point * sums).astype(np.int32)
        packed = np.zeros((weight.shape[1], _quads(op) * QUAD), np.int8)
        packed[:, : op.out_c] = weight.T

        def fill(values: NDArray[Any]) -> NDArray[Any]:
            full = np.zeros(_quads(op) * QUAD, values.dtype)
            full[: op.out_c] = np.broadcast_to(values, (op.out_c,))
            return full

        constants = [packed.reshape(-1), fill(bias)]
        constants += epilogue_arrays(op.requantize, _quads(op) * QUAD, arrays, fill)
        if may_leave(op):
            constants.append(np.array([zero_point], np.int32))
        return constants


def _quads(op: Conv) -> int:
    return -(-op.out_c // QUAD)


def _total(op: Conv) -> int:
    return op.batch * op.out_h * op.out_w


def _pixels(op: Conv, accelerator: Accelerator) -> int:
    return depthwise_tile(accelerator, pixels=_total(op), quads=_quads(op))


def _parameters(op: Conv) -> list[Parameter]:
    channels = _quads(op) * QUAD
    parameters: list[Parameter] = [("x", op.in_elements, op.dtype)]
    if op.requantize.residual:
        parameters.append(("residual", op.out_elements, op.requantize.residual))
    parameters.append(("weight", op.kernel_h * op.kernel_w * channels, "int8"))
    parameters.append(("bias", channels, "int32"))
    parameters += epilogue_parameters(op.requantize, channels)
    if may_leave(op):
        parameters.append(("padding", 1, "int32"))
    return [*parameters, ("y", op.out_elements, op.requantize.dtype)]


def _emit(op: Conv, pixels: int, views: dict[str, View], number: Expr, tile: Expr) -> None:
    # The last tile moves back over its neighbour, so that all tiles are whole.
    start = bind(T.min(tile * pixels, T.int32(_total(op) - pixels)))
    places = [output_place(op, start + i) for i in range(pixels)]
    channel = bind(number * QUAD)
    acc = local(pixels, "int32x4")
    bias = bind(views["bias"].load_quad(channel))
    for p in range(pixels):
        T.buffer_store(acc, bias, [p])
    padding = bind(splat(views["padding"].load(0))) if may_leave(op) else None
    with loop(op.kernel_h) as kh, loop(op.kernel_w) as kw:
        tap = (kh * op.kernel_w + kw) * (_quads(op) * QUAD)
        weight = bind(quad_cast(views["weight"].load_quad(tap + channel), "int32"))
        for p, place in enumerate(places):
            at, inside = read_pixel(op, place, kh, kw)
            value = quad_cast(views["x"].load_quad(at + channel), "int32")
            if padding is not None:
                value = call("int32x4", "octavo_pick4", inside, value, padding)
            T.buffer_store(acc, tirx.BufferLoad(acc, [p]) + value * weight, [p])
    finish = QuadEpilogue(op.requantize, views)
    for p, place in enumerate(places):
        offset = bind(output_element(op, place) + channel)
        total = tirx.BufferLoad(acc, [p])
        each_quad(
            op.out_c, number,
            lambda valid, a=total, o=offset: finish.emit(a, channel, o, valid))  # type: ignore[misc]
