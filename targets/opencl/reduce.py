"""Reductions of integers over one axis on a GPU: one work item per result, or per quad."""

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
)
from octavo.targets.opencl.grid import (
    QUAD,
    Expr,
    View,
    bind,
    grid_func,
    local,
    loop,
    quad_cast,
    splat,
)
from octavo.targets.ops.pool import Reduce

Arrays = Mapping[str, NDArray[Any]]
MAX_TAPS = 2**31 // 512  # sums of centred bytes stay in int32
FARTHEST = 1 << 10  # beyond every centred byte


class GpuReduce:
    """Serves reductions of integers."""

    name = "gpu_reduce"

    def reject(self, op: Reduce, accelerator: Accelerator) -> str:
        """Accept integers whose sums fit."""
        if op.dtype not in ("uint8", "int8"):
            return f"{op.dtype} elements"
        if op.extent > MAX_TAPS:
            return f"{op.extent} elements may overflow 32 bits; at most {MAX_TAPS}"
        return ""

    def variant(self, op: Reduce, accelerator: Accelerator) -> str:
        """Name the reduction and the device."""
        return f"{self.name}.{op.kind}.{accelerator.name}"

    def build(self, op: Reduce, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        parameters = [
            ("x", op.outer * op.extent * op.inner, op.dtype),
            ("zero_point", 1, "int32"),
            *epilogue_parameters(op.requantize, 1),
            ("y", op.outer * op.inner, op.requantize.dtype),
        ]
        return grid_func(
            accelerator, parameters, (-(-op.inner // QUAD), op.outer),
            lambda views, place: _emit(op, views, *place))

    def constants(
        self, op: Reduce, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Zero point of the input, and the epilogue's constants."""
        zero_point = np.asarray(arrays["zero_point"]).reshape(-1).astype(np.int32)
        return [
            zero_point, *epilogue_arrays(op.requantize, 1, arrays, np.ascontiguousarray)]


def _emit(op: Reduce, views: dict[str, View], number: Expr, outer: Expr) -> None:
    zero_point = bind(views["zero_point"].load(0))
    start = {"max": -FARTHEST, "min": FARTHEST}.get(op.kind, 0)
    acc = local(1, "int32x4")
    T.buffer_store(acc, splat(T.int32(start)), [0])
    with loop(op.extent) as index:
        at = (outer * op.extent + index) * op.inner + number * QUAD
        if op.inner == 1:
            value = splat(views["x"].load_int(at) - zero_point)
        else:
            value = quad_cast(views["x"].load_quad(at), "int32") - splat(zero_point)
        before = tirx.BufferLoad(acc, [0])
        combined = {"max": T.max, "min": T.min}.get(op.kind, lambda a, b: a + b)(before, value)
        T.buffer_store(acc, combined, [0])
    total = bind(tirx.BufferLoad(acc, [0]))
    offset = bind(outer * op.inner + number * QUAD)
    each_quad(
        op.inner, number,
        lambda valid: emit_rescaled(
            op.requantize, views, total, T.int32(0), offset, valid))
