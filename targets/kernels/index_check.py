"""Emit the check of given indices, and a copy without those that are not in use."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.failure import fail_if
from octavo.targets.kernels.spans import MAX_ELEMENTS
from octavo.targets.ops.index_check import IndexCheck

Arrays = Mapping[str, NDArray[Any]]


class IndexRows:
    """Serves every check of indices. The function returns -1 for wrong ones."""

    name = "index_rows"

    def reject(self, op: IndexCheck, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.index_dtype not in ("int64", "int32"):
            return f"{op.index_dtype} indices; only int64 and int32"
        if not 0 < op.elements <= MAX_ELEMENTS or op.limit > MAX_ELEMENTS:
            return f"{op.elements} elements; 1 to {MAX_ELEMENTS}"
        if not (op.limit or op.clears):
            return "nothing to do"
        return ""

    def variant(self, op: IndexCheck, isa: Isa) -> str:
        """Name what is done."""
        del isa
        checks, clears = [".check"] if op.limit else [], [".clear"] if op.clears else []
        return "".join([f"{self.name}.{op.index_dtype}", *checks, *clears])

    def build(self, op: IndexCheck, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        del isa
        parameters = [
            ("index", op.elements, op.index_dtype),
            *([("count", 1, "int64")] if op.has_count else []),
            *([("limit", 1, "int64")] if op.limit else []),
            *([("y", op.elements, op.index_dtype)] if op.clears else []),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: _emit(op, dict(zip(names, buffers, strict=True))))

    def constants(self, op: IndexCheck, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Need none: all operands are inputs."""
        del op, isa, arrays
        return []

    def scratch_bytes(self, op: IndexCheck, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _emit(op: IndexCheck, operands: Mapping[str, Any]) -> None:
    used = T.int32(op.rows * op.inner)
    if op.has_count:
        used = vector.bind(_size(operands["count"], op.rows) * T.int32(op.inner))
    index, width = operands["index"], op.rows * op.inner
    if op.limit:
        limit = vector.bind(vector.cast(_size(operands["limit"], op.limit), op.index_dtype, 1))
        is_wrong = vector.local(1, "int32")
        vector.store(is_wrong, 0, T.int32(0))
        with T.serial(0, op.outer) as outer, T.serial(0, used) as i:
            found = vector.bind(vector.load(index, outer * width + i))
            outside = tirx.any(found < tirx.IntImm(op.index_dtype, 0), found >= limit)
            wrong = vector.cast(outside, "int32", 1)
            vector.store(is_wrong, 0, T.max(vector.load(is_wrong, 0), wrong))
        fail_if(vector.load(is_wrong, 0) != 0)
    if op.clears:
        y, zero = operands["y"], tirx.IntImm(op.index_dtype, 0)
        with T.serial(0, op.outer) as outer:
            with T.serial(0, used) as i:
                at = vector.bind(outer * width + i)
                vector.store(y, at, vector.load(index, at))
            with T.serial(0, width - used) as i:
                vector.store(y, outer * width + used + i, zero)


def _size(buffer: Any, most: int) -> Expr:
    """A number that is given, int32; the call fails where it is not in [0, most]."""
    given = vector.bind(vector.load(buffer, 0))
    fail_if(tirx.any(given < tirx.IntImm("int64", 0), given > tirx.IntImm("int64", most)))
    return vector.bind(vector.cast(given, "int32", 1))
