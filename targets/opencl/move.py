"""Move elements on a GPU: one work item per element.

Where the rest of the output is filled there is one for each of its elements, which finds out
what belongs there.
"""

from collections.abc import Mapping
from math import prod
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
    quotient,
    rest,
    to_int,
)
from octavo.targets.ops.move import COPY, DEQUANTIZE, QUANTIZE, TABLE, Move

Arrays = Mapping[str, NDArray[Any]]
MAX_ELEMENTS = 2**31 - 1
WORDS = {1: "uint8", 2: "uint16", 4: "int32", 8: "int64"}  # a copy does not look at values


class GpuMove:
    """Serves moves, and such as fill what they do not write."""

    name = "gpu_move"

    def reject(self, op: Move, accelerator: Accelerator) -> str:
        """Accept what int32 can count, and fills around elements that lie in order."""
        if op.fills and not _is_ordered(op):
            return "fills between elements that do not lie in order"
        if 0 in op.shape:
            return "moves no element"
        if max(op.src_elements, op.dst_elements) > MAX_ELEMENTS:
            return f"{max(op.src_elements, op.dst_elements)} elements"
        return ""

    def variant(self, op: Move, accelerator: Accelerator) -> str:
        """Name the conversion and the device."""
        return f"{self.name}.{op.convert}.{accelerator.name}"

    def build(self, op: Move, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        parameters: list[Parameter] = [
            ("x", op.src_elements, _stored(op, op.dtype)),
            *_constants(op),
            ("y", op.dst_elements, _stored(op, op.out_dtype)),
        ]
        if op.fills:
            return grid_func(
                accelerator, parameters, (op.dst_elements,),
                lambda views, place: _emit_filled(op, views, *place))
        return grid_func(
            accelerator, parameters, (prod(op.shape),),
            lambda views, place: _emit(op, views, *place))

    def constants(
        self, op: Move, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """The conversion's constants, and the fill as it is stored."""
        found = [
            np.ascontiguousarray(arrays[name]).reshape(-1)[:count].astype(dtype)
            for name, count, dtype in _of_conversion(op)
        ]
        if op.fills:
            fill = np.asarray(arrays["fill"]).reshape(-1)[:1].astype(op.out_dtype)
            found.append(fill.view(_stored(op, op.out_dtype)))
        return found


def _stored(op: Move, dtype: str) -> str:
    return WORDS[np.dtype(dtype).itemsize] if op.convert == COPY else dtype


def _constants(op: Move) -> list[Parameter]:
    fill: list[Parameter] = [("fill", 1, _stored(op, op.out_dtype))] if op.fills else []
    return _of_conversion(op) + fill


def _of_conversion(op: Move) -> list[Parameter]:
    if op.convert == TABLE:
        return [("table", 256, op.out_dtype)]
    if op.convert in (QUANTIZE, DEQUANTIZE):
        return [("scale", 1, "float32"), ("zero_point", 1, "int32")]
    return []


def _axes(op: Move) -> list[tuple[int, int, int]]:
    """Extent and both strides of each axis, the widest apart in the output first."""
    axes = zip(op.shape, op.src_strides, op.dst_strides, strict=True)
    return sorted((axis for axis in axes if axis[0] > 1), key=lambda axis: -axis[2])


def _is_ordered(op: Move) -> bool:
    """Whether an axis of the output reaches beyond all that the narrower ones span."""
    span = 0
    for extent, _, stride in reversed(_axes(op)):
        if stride <= span:
            return False
        span += (extent - 1) * stride
    return True


def _emit_filled(op: Move, views: dict[str, View], number: Expr) -> None:
    left = bind(number - op.dst_offset)
    inside, source = left >= 0, T.int32(op.src_offset)
    left = bind(T.max(left, T.int32(0)))
    for extent, src_stride, dst_stride in _axes(op):
        index = bind(quotient(left, dst_stride))
        left = bind(left - index * dst_stride)
        inside = tirx.all(inside, index < extent)
        # What belongs to no element is read at the last one, and not used.
        source = source + T.min(index, T.int32(extent - 1)) * src_stride
    inside = tirx.all(inside, left.equal(0))
    moved = bind(_convert(op, views, bind(source)))
    views["y"].store(number, tirx.Select(inside, moved, views["fill"].load(0)))


def _emit(op: Move, views: dict[str, View], number: Expr) -> None:
    source, target = T.int32(op.src_offset), T.int32(op.dst_offset)
    left = number
    axes = list(zip(op.shape, op.src_strides, op.dst_strides, strict=True))
    for axis, (extent, src_stride, dst_stride) in reversed(list(enumerate(axes))):
        if extent == 1:
            continue
        is_outermost = prod(op.shape[:axis]) == 1
        index = bind(left if is_outermost else rest(left, extent))
        source, target = source + index * src_stride, target + index * dst_stride
        left = bind(quotient(left, extent))
    views["y"].store(target, _convert(op, views, bind(source)))


def _convert(op: Move, views: dict[str, View], at: Expr) -> Expr:
    value = views["x"].load(at)
    if op.convert == COPY:
        return value
    if op.convert == TABLE:
        if op.dtype != "uint8":
            value = call("uint8", "as_uchar", value)
        return views["table"].load(tirx.Cast("int32", value))
    zero_point = bind(views["zero_point"].load(0))
    if op.convert == DEQUANTIZE:
        centred = tirx.Cast("int32", value) - zero_point
        return tirx.Cast("float32", centred) * views["scale"].load(0)
    limits = np.iinfo(op.out_dtype)
    steps = call("float32", "octavo_steps", value, views["scale"].load(0))
    low, high = (
        tirx.Cast("float32", T.int32(int(limit)) - zero_point)
        for limit in (limits.min, limits.max))
    rounded = to_int(clamp(bind(steps), low, high)) + zero_point
    return tirx.Cast(op.out_dtype, rounded)
