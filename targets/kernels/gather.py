"""Copy slices that indices pick; no index is believed before it is checked."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.failure import fail_if
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.spans import BITS, MAX_ELEMENTS, for_spans
from octavo.targets.ops.gather import Gather

Arrays = Mapping[str, NDArray[Any]]


class GatherSlices:
    """Serves every gather. The function returns -1 when an index is out of range."""

    name = "gather"

    def reject(self, op: Gather, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.index_dtype not in ("int64", "int32"):
            return f"{op.index_dtype} indices; only int64 and int32"
        largest = op.outer * max(op.extent, op.count) * op.inner
        if largest > MAX_ELEMENTS:
            return f"{largest} elements; at most {MAX_ELEMENTS}"
        return ""

    def variant(self, op: Gather, isa: Isa) -> str:
        """Name what is copied."""
        del isa
        return f"{self.name}.{op.dtype}.{'slices' if op.inner > 1 else 'elements'}"

    def build(self, op: Gather, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        bits = BITS[np.dtype(op.dtype).itemsize]
        parameters = [
            ("x", op.outer * op.extent * op.inner, bits),
            ("index", op.count, op.index_dtype),
            ("y", op.outer * op.count * op.inner, bits),
        ]
        return vector.prim_func(parameters, lambda x, index, y: _emit(op, isa, x, index, y))

    def constants(self, op: Gather, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Need none: x and the indices are inputs."""
        del op, isa, arrays
        return []

    def scratch_bytes(self, op: Gather, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _emit(op: Gather, isa: Isa, x: Any, index: Any, y: Any) -> None:
    _check(op, index)
    lanes = isa.lanes * 4 // np.dtype(op.dtype).itemsize
    is_parallel = op.outer * op.count * op.inner >= PARALLEL_ELEMENTS
    with vector.loop(op.outer * op.count, parallel=is_parallel) as task:
        found = vector.bind(vector.load(index, task % op.count))
        at = vector.bind(vector.cast(
            T.Select(found < _constant(op, 0), found + _constant(op, op.extent), found),
            "int32", 1))
        src = vector.bind((task // op.count * op.extent + at) * op.inner)
        dst = vector.bind(T.int32(0) + task * op.inner)

        def copy(start: Expr, width: int) -> None:
            vector.store(y, dst + start, vector.load(x, src + start, width), width)

        for_spans(op.inner, lanes, copy)


def _check(op: Gather, index: Any) -> None:
    """Return a status that is not 0 if any index is outside of [-extent, extent)."""
    lowest, highest = vector.local(1, op.index_dtype), vector.local(1, op.index_dtype)
    for extreme in (lowest, highest):
        vector.store(extreme, 0, vector.load(index, 0))
    with vector.loop(op.count) as i:
        found = vector.bind(vector.load(index, i))
        vector.store(lowest, 0, T.min(vector.load(lowest, 0), found))
        vector.store(highest, 0, T.max(vector.load(highest, 0), found))
    is_wrong = tirx.any(
        vector.load(lowest, 0) < _constant(op, -op.extent),
        vector.load(highest, 0) >= _constant(op, op.extent))
    fail_if(is_wrong)


def _constant(op: Gather, value: int) -> Expr:
    return tirx.IntImm(op.index_dtype, value)
