"""Layer normalization of float32 rows: mean, then variance, then the result, row by row.

Three passes over a row, which stays in the first-level cache; the variance of differences from
the mean keeps its digits where the mean of squares would not.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.ops.float_layer_norm import FloatLayerNorm

Arrays = Mapping[str, NDArray[Any]]

# Takes the place of elements in their row and their number.
Block = Callable[[Expr, int], None]


class FloatLayerNormRows:
    """Serves every float32 layer normalization."""

    name = "float_layer_norm_rows"

    def reject(self, op: FloatLayerNorm, isa: Isa) -> str:
        """Accept everything."""
        return ""

    def variant(self, op: FloatLayerNorm, isa: Isa) -> str:
        """Name the instructions."""
        return f"{self.name}.{isa.name}"

    def build(self, op: FloatLayerNorm, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        parameters = [
            ("x", op.elements, "float32"),
            *((name, n, "float32") for name, n in _constant_sizes(op)),
            ("y", op.elements, "float32"),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters,
            lambda *buffers: _Emitter(op, isa, dict(zip(names, buffers, strict=True))).emit())

    def constants(self, op: FloatLayerNorm, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pass the arrays as they are."""
        return [
            np.ascontiguousarray(arrays[name], np.float32).reshape(-1)
            for name, _ in _constant_sizes(op)
        ]

    def scratch_bytes(self, op: FloatLayerNorm, isa: Isa) -> int:
        """Need none."""
        return 0


def _constant_sizes(op: FloatLayerNorm) -> tuple[tuple[str, int], ...]:
    return ("gain", op.extent), ("offset", op.extent), ("epsilon", 1)


class _Emitter:
    """Emits one layer normalization."""

    def __init__(
        self, op: FloatLayerNorm, isa: Isa, operands: Mapping[str, Any]
    ) -> None:
        self.op = op
        self.isa = isa
        self.operands = operands

    def emit(self) -> None:
        op = self.op
        with vector.loop(op.rows, op.elements >= PARALLEL_ELEMENTS) as row:
            at = vector.bind(T.int32(0) + row * op.extent)
            mean = vector.bind(self._mean(lambda place, lanes: self._x(at + place, lanes)))

            def squared(place: Expr, lanes: int) -> Expr:
                centred = vector.bind(self._x(at + place, lanes) - vector.splat(mean, lanes))
                return centred * centred

            variance = self._mean(squared) + vector.load(self.operands["epsilon"], 0)
            root = vector.intrinsic("float32", 1, "llvm.sqrt", variance)
            ratio = vector.bind(tirx.const(1.0, "float32") / root)
            self._write(at, mean, ratio)

    def _x(self, at: Expr, lanes: int) -> Expr:
        return vector.load(self.operands["x"], at, lanes)

    def _mean(self, term: Callable[[Expr, int], Expr]) -> Expr:
        """Mean of a term over a row: one sum in each lane, then the lanes two by two."""
        lanes = self.isa.lanes
        sums = vector.local(lanes, "float32")
        vector.store(sums, 0, vector.splat(tirx.const(0.0, "float32"), lanes), lanes)

        def add(place: Expr, count: int) -> None:
            vector.store(sums, 0, vector.load(sums, 0, count) + term(place, count), count)

        self._cover(add)
        while lanes > 1:
            lanes //= 2
            halves = vector.load(sums, 0, lanes) + vector.load(sums, lanes, lanes)
            vector.store(sums, 0, halves, lanes)
        return vector.load(sums, 0) * tirx.const(1.0 / self.op.extent, "float32")

    def _write(self, at: Expr, mean: Expr, ratio: Expr) -> None:
        def write(place: Expr, lanes: int) -> None:
            centred = self._x(at + place, lanes) - vector.splat(mean, lanes)
            normal = centred * vector.splat(ratio, lanes)
            gain, offset = (
                vector.load(self.operands[name], place, lanes) for name in ("gain", "offset"))
            y = vector.fma(normal, gain, offset, lanes)
            vector.store(self.operands["y"], at + place, y, lanes)

        self._cover(write)

    def _cover(self, block: Block) -> None:
        """Call ``block`` for every element of a row once, most of them in whole vectors."""
        full, rest = divmod(self.op.extent, self.isa.lanes)
        if full:
            with vector.loop(full) as index:
                block(index * self.isa.lanes, self.isa.lanes)
        for place in range(self.op.extent - rest, self.op.extent):
            block(T.int32(place), 1)
