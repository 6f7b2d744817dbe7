"""Copy slices that indices pick, on a GPU; no index is believed before it is checked."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.grid import Expr, Parameter, View, bind, grid_func, when
from octavo.targets.opencl.move import MAX_ELEMENTS, WORDS
from octavo.targets.ops.gather import Gather

Arrays = Mapping[str, NDArray[Any]]


class GpuGather:
    """Serves every gather; an index out of range sets the word of failures."""

    name = "gpu_gather"

    def reject(self, op: Gather, accelerator: Accelerator) -> str:
        """Say why not."""
        if op.index_dtype not in ("int64", "int32"):
            return f"{op.index_dtype} indices; only int64 and int32"
        largest = op.outer * max(op.extent, op.count) * op.inner
        return f"{largest} elements; at most {MAX_ELEMENTS}" if largest > MAX_ELEMENTS else ""

    def can_fail(self, op: Gather) -> bool:
        """Whether an index may be out of range."""
        return not op.index_is_constant

    def variant(self, op: Gather, accelerator: Accelerator) -> str:
        """Name what is copied, and the device."""
        return f"{self.name}.{op.dtype}.{accelerator.name}"

    def build(self, op: Gather, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        bits = WORDS[np.dtype(op.dtype).itemsize]
        parameters: list[Parameter] = [
            ("x", op.outer * op.extent * op.inner, bits),
            ("index", op.count, op.index_dtype),
            ("y", op.outer * op.count * op.inner, bits),
        ]
        if self.can_fail(op):
            parameters.append(("failures", 1, "int32"))
        return grid_func(
            accelerator, parameters, (op.inner, op.count, op.outer),
            lambda views, place: _emit(op, views, *place))

    def constants(
        self, op: Gather, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Need none."""
        return []


def _emit(op: Gather, views: dict[str, View], element: Expr, slot: Expr, outer: Expr) -> None:
    index = bind(views["index"].load(slot))
    extent = tirx.const(op.extent, op.index_dtype)
    is_inside = tirx.all(index >= -extent, index < extent)
    with when(is_inside):
        picked = tirx.Cast("int32", index + tirx.Select(
            index < 0, extent, tirx.const(0, op.index_dtype)))
        source = (outer * op.extent + picked) * op.inner + element
        target = (outer * op.count + slot) * op.inner + element
        views["y"].store(target, views["x"].load(source))
    if "failures" in views:
        with when(tirx.Not(is_inside)):
            views["failures"].store(T.int32(0), T.int32(1))
