"""Emit the check of indices against the axes that they pick from."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Isa
from octavo.targets.kernels.failure import fail_if
from octavo.targets.kernels.spans import MAX_ELEMENTS
from octavo.targets.ops.index_bounds import IndexBounds

Arrays = Mapping[str, NDArray[Any]]


class IndexBoundsRows:
    """Serves every check of bounds. The function returns -1 for wrong indices."""

    name = "index_bounds"

    def reject(self, op: IndexBounds, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.index_dtype not in ("int64", "int32"):
            return f"{op.index_dtype} indices; only int64 and int32"
        if not 0 < op.elements <= MAX_ELEMENTS:
            return f"{op.elements} elements; 1 to {MAX_ELEMENTS}"
        if not all(0 < limit <= MAX_ELEMENTS for limit in op.limits):
            return f"axes of {op.limits} elements; 1 to {MAX_ELEMENTS}"
        return ""

    def variant(self, op: IndexBounds, isa: Isa) -> str:
        """Name what is checked."""
        del isa
        return f"{self.name}.{op.index_dtype}"

    def build(self, op: IndexBounds, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        del isa
        return vector.prim_func(
            [("index", op.elements, op.index_dtype)], lambda index: _emit(op, index))

    def constants(self, op: IndexBounds, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Need none."""
        del op, isa, arrays
        return []

    def scratch_bytes(self, op: IndexBounds, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _emit(op: IndexBounds, index: Any) -> None:
    is_wrong = vector.local(1, "int32")
    vector.store(is_wrong, 0, T.int32(0))
    width = len(op.limits)
    with T.serial(0, op.count) as row:
        for place, limit in enumerate(op.limits):
            found = vector.bind(vector.load(index, row * width + place))
            outside = tirx.any(
                found < tirx.IntImm(op.index_dtype, -limit),
                found >= tirx.IntImm(op.index_dtype, limit))
            wrong = vector.cast(outside, "int32", 1)
            vector.store(is_wrong, 0, T.max(vector.load(is_wrong, 0), wrong))
    fail_if(vector.load(is_wrong, 0) != 0)
