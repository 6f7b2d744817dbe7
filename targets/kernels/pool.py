"""Pools over windows: vectors of channels; borders only shorten the loops over taps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa
from octavo.targets.kernels.epilogue import constant_arrays, constant_parameters
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.rescale import Rescale, for_blocks, scalar
from octavo.targets.kernels.window import Window
from octavo.targets.ops.pool import AveragePool, MaxPool

Arrays = Mapping[str, NDArray[Any]]
MAX_UNROLLED_TAPS = 25
MAX_TAPS = 2**31 // 512  # sums of centred bytes stay in int32


def windows(op: MaxPool) -> tuple[Window, Window]:
    """The window along rows and along columns."""
    return (
        Window(op.in_h, op.out_h, op.kernel_h, op.stride_h, op.dilation_h, op.pad_top),
        Window(op.in_w, op.out_w, op.kernel_w, op.stride_w, op.dilation_w, op.pad_left),
    )


def _is_parallel(op: MaxPool) -> bool:
    work = op.batch * op.out_h * op.out_w * op.channels * op.kernel_h * op.kernel_w
    return work >= PARALLEL_ELEMENTS


def _reject_windows(op: MaxPool) -> str:
    if not all(window.is_never_empty for window in windows(op)):
        return "a window has no element"
    return ""


class MaxPoolWindows:
    """Serves every maximum over windows.

    A tap outside of the input repeats the nearest tap inside, which a maximum does not notice.
    """

    name = "max_pool"

    def reject(self, op: MaxPool, isa: Isa) -> str:
        """Windows outside of the input have no maximum."""
        del isa
        return _reject_windows(op)

    def variant(self, op: MaxPool, isa: Isa) -> str:
        """Name the window."""
        return f"{self.name}.{isa.name}.{op.kernel_h}x{op.kernel_w}"

    def build(self, op: MaxPool, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        isa = isa.of_reals if op.dtype == "float32" else isa
        parameters = [
            ("x", op.in_elements, op.dtype),
            ("y", op.out_elements, op.dtype),
        ]
        return vector.prim_func(parameters, lambda x, y: _emit_max(op, isa, x, y))

    def constants(self, op: MaxPool, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Need none."""
        del op, isa, arrays
        return []

    def scratch_bytes(self, op: MaxPool, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _emit_max(op: MaxPool, isa: Isa, x: Any, y: Any) -> None:
    rows, columns = windows(op)
    lanes = isa.lanes * JOINED_VECTORS // np.dtype(op.dtype).itemsize
    is_unrolled = op.kernel_h * op.kernel_w <= MAX_UNROLLED_TAPS
    with vector.loop(op.batch * op.out_h, parallel=_is_parallel(op)) as task:
        image = task // op.out_h if op.batch > 1 else 0
        row = vector.bind(T.int32(0) + task % op.out_h)
        lines = [(image * op.in_h + tap) * op.in_w for tap in _inner_taps(rows, row)] if (
            is_unrolled) else []
        lines = [vector.bind(line) for line in lines]
        with vector.loop(op.out_w) as column:
            out = vector.bind((T.int32(0) + task * op.out_w + column) * op.out_pixel)
            if is_unrolled:
                taps = [vector.bind((line + tap) * op.in_pixel)
                        for tap in _inner_taps(columns, column) for line in lines]

                def emit(at: Expr, count: int) -> None:
                    best = vector.load(x, taps[0] + at, lanes)
                    for tap in taps[1:]:
                        best = T.max(best, vector.load(x, tap + at, lanes))
                    vector.store(y, out + at, vector.take_first(best, count), count)
            else:

                def emit(at: Expr, count: int) -> None:
                    best = vector.local(lanes, op.dtype)
                    lowest = -np.inf if op.dtype == "float32" else int(np.iinfo(op.dtype).min)
                    vector.store(best, 0, vector.splat(
                        T.float32(lowest) if op.dtype == "float32" else vector.cast(
                            T.int32(int(lowest)), op.dtype, 1), lanes), lanes)

                    def visit(line: Expr, tap: Expr) -> None:
                        pixel = ((image * op.in_h + line) * op.in_w + tap) * op.in_pixel
                        found = vector.load(x, pixel + at, lanes)
                        vector.store(best, 0, T.max(vector.load(best, 0, lanes), found), lanes)

                    _for_taps(rows, columns, row, column, visit)
                    value = vector.load(best, 0, lanes)
                    vector.store(y, out + at, vector.take_first(value, count), count)

            for_blocks(op.channels, lanes, emit)


def _inner_taps(window: Window, position: Expr) -> list[Expr]:
    """Input positions of all taps; those outside repeat the nearest inside."""
    start = window.start(position)
    if window.is_inside:
        return [start + k * window.dilation for k in range(window.kernel)]
    first, last = window.first(position), window.end(position) - 1
    return [start + T.max(T.min(T.int32(k), last), first) * window.dilation
            for k in range(window.kernel)]


def _for_taps(rows: Window, columns: Window, row: Expr, column: Expr, visit: Any) -> None:
    """Loop over the taps inside the input, and call ``visit(input row, input column)``."""
    with T.serial(rows.first(row), rows.end(row)) as kh:
        line = rows.start(row) + kh * rows.dilation
        with T.serial(columns.first(column), columns.end(column)) as kw:
            visit(line, columns.start(column) + kw * columns.dilation)


class AveragePoolWindows:
    """Serves every average over windows."""

    name = "average_pool"

    def reject(self, op: AveragePool, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.dtype != "float32" and op.kernel_h * op.kernel_w > MAX_TAPS:
            return f"a window of {op.kernel_h * op.kernel_w} elements may overflow 32 bits"
        if op.dtype == "float32" and op.requantize.dtype != "float32":
            return "a float average stays float"
        return ""

    def variant(self, op: AveragePool, isa: Isa) -> str:
        """Name the window."""
        return f"{self.name}.{isa.name}.{op.kernel_h}x{op.kernel_w}"

    def build(self, op: AveragePool, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        isa = isa.of_reals if op.dtype == "float32" else isa
        parameters = [
            ("x", op.in_elements, op.dtype),
            *_average_constants(op),
            ("y", op.out_elements, op.requantize.dtype),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters,
            lambda *b: _emit_average(op, isa, dict(zip(names, b, strict=True))))

    def constants(self, op: AveragePool, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Zero point of the input, multipliers of every output pixel."""
        del isa
        epilogue = constant_arrays(op.requantize, op.out_h * op.out_w, arrays)
        zero_point = [] if op.dtype == "float32" else [
            np.asarray(arrays["zero_point"]).reshape(-1).astype(np.int32)]
        return [*zero_point, *epilogue.values()]

    def scratch_bytes(self, op: AveragePool, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _average_constants(op: AveragePool) -> list[tuple[str, int, str]]:
    zero_point = [] if op.dtype == "float32" else [("zero_point", 1, "int32")]
    return [*zero_point, *constant_parameters(op.requantize, op.out_h * op.out_w)]


def _emit_average(op: AveragePool, isa: Isa, operands: dict[str, Any]) -> None:
    rows, columns = windows(op)
    lanes, is_float, x = isa.lanes, op.dtype == "float32", operands["x"]
    wide = "float32" if is_float else "int32"
    with vector.loop(op.batch * op.out_h, parallel=_is_parallel(op)) as task:
        image = task // op.out_h if op.batch > 1 else 0
        row = vector.bind(T.int32(0) + task % op.out_h)
        finish = Rescale(op.requantize, isa, operands)
        with vector.loop(op.out_w) as column:
            pixel = vector.bind(row * op.out_w + column)
            out = vector.bind((T.int32(0) + task * op.out_w + column) * op.out_pixel)
            names = ("significand", "shift") if finish.is_dyadic else ("multiplier",)
            scales = [scalar(operands, name, pixel) for name in names]
            outside: Expr = T.float32(0)
            if not is_float:
                count = (rows.end(row) - rows.first(row)) * (
                    columns.end(column) - columns.first(column))
                outside = vector.bind(
                    T.int32(0) - count * vector.load(operands["zero_point"], 0))

            def emit(at: Expr, count: int) -> None:
                starts = finish.starts(count)
                acc = vector.local(len(starts) * lanes, wide)
                for start in starts:
                    vector.store(acc, start, vector.splat(outside, lanes), lanes)

                def visit(line: Expr, tap: Expr) -> None:
                    base = vector.bind(
                        ((image * op.in_h + line) * op.in_w + tap) * op.in_pixel + at)
                    for start in starts:
                        found = vector.cast(vector.load(x, base + start, lanes), wide, lanes)
                        total = vector.load(acc, start, lanes) + found
                        vector.store(acc, start, total, lanes)

                _for_taps(rows, columns, row, column, visit)
                finish_sums(finish, [vector.load(acc, s, lanes) for s in starts],
                            scales, out + at, count)

            for_blocks(op.channels, finish.block, emit)


def finish_sums(
    finish: Rescale, sums: list[Expr], scales: list[Expr], offset: Expr, count: int
) -> None:
    """Scale and store vectors of sums.

    Args:
        finish: Rounds and stores.
        sums: int32 or float32 vectors.
        scales: The multiplier; or the significand and the shift.
        offset: Element of the output.
        count: Elements that exist.
    """
    if finish.is_dyadic:
        wide = finish.wide
        significand = wide.same(scales[0])
        totals = [wide.extend(acc) * significand for acc in sums]
        finish.store_totals(totals, scales[1], offset, count)
        return
    lanes = finish.isa.lanes
    scale = vector.splat(scales[0], lanes)
    reals = [vector.cast(acc, "float32", lanes) * scale for acc in sums]
    finish.store_reals(reals, offset, count)
