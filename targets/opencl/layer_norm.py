"""Layer normalization of integers on a GPU: one work item per row."""

from collections.abc import Mapping
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
    exact,
    fma,
    grid_func,
    local,
    loop,
    to_int,
)
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
        return grid_func(
            accelerator, parameters, (op.rows,), lambda views, place: _emit(op, views, *place))

    def constants(
        self, op: LayerNorm, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """The constants of the reference."""
        return [
            np.asarray(arrays[name]).reshape(-1).astype(dtype)
            for name, _, dtype in _constants(op)
        ]


def _constants(op: LayerNorm) -> list[Parameter]:
    return [
        ("zero_point", 1, "int32"), ("params", NUM_PARAMS, "int32"),
        ("gain", op.extent, "float32"), ("offset", op.extent, "float32"),
        ("epsilon", 1, "float32"),
    ]  # fmt: skip


def _emit(op: LayerNorm, views: dict[str, View], row: Expr) -> None:
    n = op.extent
    base, zero = bind(row * n), bind(views["zero_point"].load(0))
    sums = local(2, "int32")
    for slot in range(2):
        T.buffer_store(sums, T.int32(0), [slot])
    with loop(n) as i:
        centred = bind(views["x"].load_int(base + i) - zero)
        T.buffer_store(sums, tirx.BufferLoad(sums, [0]) + centred, [0])
        T.buffer_store(sums, tirx.BufferLoad(sums, [1]) + centred * centred, [1])
    total = bind(tirx.BufferLoad(sums, [0]))
    wide, squares = (tirx.Cast("int64", tirx.BufferLoad(sums, [slot])) for slot in range(2))
    spread = bind(T.int64(n) * squares - wide * wide)
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
    with loop(n) as i:
        centred = bind(views["x"].load_int(base + i) - zero)
        normal = bind(tirx.Cast("float32", T.int32(n) * centred - total) * ratio)
        real = bind(fma(normal, views["gain"].load(i), views["offset"].load(i)))
        rounded = to_int(clamp(real, *limits)) + zero_point
        views["y"].store(base + i, tirx.Cast(op.out_dtype, rounded))
