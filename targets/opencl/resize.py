"""Resize images on a GPU: quads of channels of a pixel, or one element where it is copied."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.epilogue import (
    each_quad,
    emit_rescaled,
    epilogue_arrays,
    epilogue_parameters,
    finish_real,
    store_lanes,
)
from octavo.targets.opencl.grid import (
    QUAD,
    Expr,
    Parameter,
    View,
    bind,
    fma_quad,
    grid_func,
    quad_cast,
    quotient,
    rest,
    splat,
)
from octavo.targets.opencl.move import MAX_ELEMENTS, WORDS
from octavo.targets.ops.resize import LINEAR, NEAREST, Resize

Arrays = Mapping[str, NDArray[Any]]


class GpuResize:
    """Serves nearest and linear resizing."""

    name = "gpu_resize"

    def reject(self, op: Resize, accelerator: Accelerator) -> str:
        """Say why not."""
        if op.kind not in (NEAREST, LINEAR):
            return f"kind {op.kind!r}; only {NEAREST} and {LINEAR}"
        if op.kind == LINEAR and (op.dtype == "float32") != (op.requantize is None):
            return f"linear {op.dtype} with epilogue {op.requantize}"
        largest = max(op.in_h * op.in_w, op.out_h * op.out_w) * op.batch * op.channels
        return f"{largest} elements; at most {MAX_ELEMENTS}" if largest > MAX_ELEMENTS else ""

    def variant(self, op: Resize, accelerator: Accelerator) -> str:
        """Name the kind and the device."""
        return f"{self.name}.{op.kind}.{accelerator.name}"

    def build(self, op: Resize, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        is_copy = op.kind == NEAREST
        bits = WORDS[np.dtype(op.dtype).itemsize]
        parameters: list[Parameter] = [
            ("x", op.batch * op.in_h * op.in_w * op.channels, bits if is_copy else op.dtype),
            *_constants(op),
            ("y", op.batch * op.out_h * op.out_w * op.channels,
             bits if is_copy else op.out_dtype),
        ]
        across = op.channels if is_copy else -(-op.channels // QUAD)
        return grid_func(
            accelerator, parameters, (across, op.out_w, op.batch * op.out_h),
            lambda views, place: (_copy if is_copy else _mix_pixels)(op, views, *place))

    def constants(
        self, op: Resize, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Indices, weights, and the epilogue's constants.

        Raises:
            ValueError: An index is outside of the image.
        """
        for name, size in (("row_index", op.in_h), ("col_index", op.in_w)):
            index = np.asarray(arrays[name])
            if index.min() < 0 or index.max() >= size:
                raise ValueError(f"{name}: {index.min()}..{index.max()} of {size}")
        found = [
            np.ascontiguousarray(np.asarray(arrays[name]).reshape(-1)[:count], dtype)
            for name, count, dtype in _tables(op)
        ]
        if op.requantize is not None:
            found += epilogue_arrays(op.requantize, 1, arrays, lambda values: values[:1])
        return found


def _constants(op: Resize) -> list[Parameter]:
    epilogue = [] if op.requantize is None else epilogue_parameters(op.requantize, 1)
    return [*_tables(op), *epilogue]


def _tables(op: Resize) -> list[Parameter]:
    tables: list[Parameter] = [
        ("row_index", 2 * op.out_h, "int32"), ("col_index", 2 * op.out_w, "int32")]
    if op.kind == NEAREST:
        return tables
    dtype = "int32" if op.has_integer_weights else "float32"
    tables += [("row_weight", 2 * op.out_h, dtype), ("col_weight", 2 * op.out_w, dtype)]
    return tables + ([("zero_point", 1, "int32")] if op.requantize is not None else [])


def _pixel(
    op: Resize, views: dict[str, View], line: Expr, column: Expr, i: int, j: int
) -> Expr:
    """First element of the input pixel in one of two rows and columns."""
    row = views["row_index"].load(rest(line, op.out_h) * 2 + i)
    return bind(((quotient(line, op.out_h) * op.in_h + row) * op.in_w
                 + views["col_index"].load(column * 2 + j)) * op.channels)


def _copy(
    op: Resize, views: dict[str, View], channel: Expr, column: Expr, line: Expr
) -> None:
    source = _pixel(op, views, line, column, 0, 0)
    target = (line * op.out_w + column) * op.channels
    views["y"].store(target + channel, views["x"].load(source + channel))


def _mix_pixels(
    op: Resize, views: dict[str, View], number: Expr, column: Expr, line: Expr
) -> None:
    channel = bind(number * QUAD)
    pixels = [
        _pixel(op, views, line, column, i, j) for i, j in product((0, 1), (0, 1))]
    rows, columns = (
        [bind(views[name].load(at * 2 + i)) for i in (0, 1)]
        for name, at in (("row_weight", rest(line, op.out_h)), ("col_weight", column)))
    values = [bind(views["x"].load_quad(at + channel)) for at in pixels]
    offset = bind((line * op.out_w + column) * op.channels + channel)
    if op.requantize is not None:
        zero_point = bind(splat(views["zero_point"].load(0)))
        values = [bind(quad_cast(value, "int32") - zero_point) for value in values]
    epilogue = op.requantize
    if op.has_integer_weights and epilogue is not None:
        weights = [r * c for r, c in product(rows, columns)]
        terms = [v * splat(w) for v, w in zip(values, weights, strict=True)]
        acc = bind(terms[0] + terms[1] + terms[2] + terms[3])
        each_quad(op.channels, number, lambda valid: emit_rescaled(
            epilogue, views, acc, T.int32(0), offset, valid))
        return
    reals = [quad_cast(value, "float32") if op.requantize else value for value in values]
    mixed = bind(_mix(
        _mix(reals[0], reals[1], columns), _mix(reals[2], reals[3], columns), rows))
    if epilogue is None:
        each_quad(op.channels, number, lambda valid: store_lanes(
            views["y"], mixed, offset, valid))
        return
    scaled = bind(mixed * splat(views["multiplier"].load(0)))
    each_quad(op.channels, number, lambda valid: finish_real(
        epilogue, views, scaled, offset, valid))


def _mix(a: Expr, b: Expr, weights: list[Expr]) -> Expr:
    return bind(fma_quad(b, splat(weights[1]), a * splat(weights[0])))
