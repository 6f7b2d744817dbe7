"""Product of two activations on a GPU: a quad of columns of one row per work item."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.batch import batch_offset
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
    grid_func,
    local,
    loop,
    quad,
    quad_cast,
    splat,
)
from octavo.targets.ops.matmul import MatMul

Arrays = Mapping[str, NDArray[Any]]
MAX_DEPTH = 1 << 14  # sums of centred products stay in int32


class GpuMatMul:
    """Serves products of integers."""

    name = "gpu_matmul"

    def reject(self, op: MatMul, accelerator: Accelerator) -> str:
        """Accept integers whose sums fit."""
        if op.is_float:
            return "float32 arithmetic"
        if op.depth > MAX_DEPTH:
            return f"depth {op.depth}: sums are proved to fit up to {MAX_DEPTH}"
        return ""

    def variant(self, op: MatMul, accelerator: Accelerator) -> str:
        """Name the device."""
        return f"{self.name}.{accelerator.name}"

    def build(self, op: MatMul, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        channels = _quads(op) * QUAD
        parameters: list[Parameter] = [
            ("a", op.a_elements, op.a_dtype), ("b", op.b_elements, op.b_dtype)]
        if op.requantize.residual:
            parameters.append(("residual", op.y_elements, op.requantize.residual))
        parameters.append(("zero_points", 2, "int32"))
        parameters += epilogue_parameters(op.requantize, channels)
        parameters.append(("y", op.y_elements, op.out_dtype))
        return grid_func(
            accelerator, parameters, (_quads(op), op.rows, op.batch_size),
            lambda views, place: _emit(op, views, *place))

    def constants(
        self, op: MatMul, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Zero points, and the epilogue's constants for every column."""
        def fill(values: NDArray[Any]) -> NDArray[Any]:
            full = np.zeros(_quads(op) * QUAD, values.dtype)
            full[: op.cols] = np.broadcast_to(values, (op.cols,))
            return full

        zero_points = np.asarray(arrays["zero_points"]).reshape(-1).astype(np.int32)
        constants = epilogue_arrays(op.requantize, _quads(op) * QUAD, arrays, fill)
        return [zero_points, *constants]


def _quads(op: MatMul) -> int:
    return -(-op.cols // QUAD)


def _emit(op: MatMul, views: dict[str, View], number: Expr, row: Expr, item: Expr) -> None:
    column = bind(number * QUAD)
    rank = len(op.batch)
    a_at = bind(batch_offset(op.batch, op.a_strides[:rank], item) + op.a_offset
                + row * op.a_strides[-1])
    b_at = bind(batch_offset(op.batch, op.b_strides[:rank], item) + op.b_offset)
    depth_stride, column_stride = op.b_strides[-2:]
    zero_a, zero_b = (bind(views["zero_points"].load(slot)) for slot in range(2))
    acc = local(1, "int32x4")
    T.buffer_store(acc, splat(T.int32(0)), [0])
    with loop(op.depth) as d:
        left = bind(views["a"].load_int(a_at + d) - zero_a)
        at = bind(b_at + d * depth_stride)
        if column_stride == 1:
            right = quad_cast(views["b"].load_quad(at + column), "int32")
        else:
            # Columns behind the last one repeat it, and are not stored.
            columns = [T.min(column + i, T.int32(op.cols - 1)) for i in range(QUAD)]
            right = quad([views["b"].load_int(at + c * column_stride) for c in columns])
        product = splat(left) * (bind(right) - splat(zero_b))
        T.buffer_store(acc, tirx.BufferLoad(acc, [0]) + product, [0])
    finish = QuadEpilogue(op.requantize, views)
    total = bind(tirx.BufferLoad(acc, [0]))
    y_at = bind(batch_offset(op.batch, op.y_strides[:rank], item) + op.y_offset
                + row * op.y_strides[-1] + column)
    each_quad(op.cols, number, lambda valid: finish.emit(total, column, y_at, valid))
