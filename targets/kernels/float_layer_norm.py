"""Layer normalization of float32 rows: means, then variances, then results, of a few rows.

Three passes over rows that stay in the first-level cache; the variance of differences from the
mean keeps its digits where the mean of squares would not. Every pass goes through some rows:
the sum of one is a chain of additions, during which the next ones go on.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa, clamp
from octavo.targets.kernels.float_sum import float_sum
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.ops.float_layer_norm import FloatLayerNorm
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
)

Arrays = Mapping[str, NDArray[Any]]

BLOCK_ROWS = 8  # enough chains at a time; the rows of most transformers stay in 16 KiB


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
            *_constants(op),
        ]
        if op.has_float:
            parameters.append(("y", op.elements, "float32"))
        if op.quantized is not None:
            parameters.append(("rounded", op.elements, op.quantized))
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters,
            lambda *buffers: _Emitter(op, isa, dict(zip(names, buffers, strict=True))).emit())

    def constants(self, op: FloatLayerNorm, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pass the arrays as they are."""
        return [
            np.ascontiguousarray(arrays[name], dtype).reshape(-1)
            for name, _, dtype in _constants(op)
        ]

    def scratch_bytes(self, op: FloatLayerNorm, isa: Isa) -> int:
        """Need none."""
        return 0


def _constants(op: FloatLayerNorm) -> list[tuple[str, int, str]]:
    names = ["gain", "offset"] if op.has_float else []
    names += ["step_gain", "step_offset"] if op.quantized is not None else []
    found = [(name, op.extent, "float32") for name in names] + [("epsilon", 1, "float32")]
    return found + ([("params", NUM_PARAMS, "int32")] if op.quantized is not None else [])


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
        count = min(op.rows, BLOCK_ROWS)
        blocks = -(-op.rows // count)
        with vector.loop(blocks, op.elements >= PARALLEL_ELEMENTS) as block:
            # The last block moves back over its neighbour.
            first = T.min(T.int32(0) + block * count, T.int32(op.rows - count))
            first = vector.bind(first * op.extent)
            means = vector.local(count, "float32")
            ratios = vector.local(count, "float32")
            with vector.loop(count) as row:
                at = first + row * op.extent
                vector.store(means, row, self._sum(at, None) / self._extent())
            with vector.loop(count) as row:
                at = first + row * op.extent
                squares = self._sum(at, vector.bind(vector.load(means, row)))
                # Divided: a product would be fused with what it is added to where LLVM can.
                variance = squares / self._extent() + vector.load(self.operands["epsilon"], 0)
                root = vector.intrinsic("float32", 1, "llvm.sqrt", variance)
                vector.store(ratios, row, tirx.const(1.0, "float32") / root)
            with vector.loop(count) as row:
                scalars = (vector.bind(vector.load(of, row)) for of in (means, ratios))
                self._write(vector.bind(first + row * op.extent), *scalars)

    def _x(self, at: Expr, lanes: int) -> Expr:
        return vector.load(self.operands["x"], at, lanes)

    def _extent(self) -> Expr:
        return tirx.const(float(self.op.extent), "float32")

    def _sum(self, at: Expr, mean: Expr | None) -> Expr:
        """Sum of a row, or of its squared distances from ``mean``."""
        def add(total: Expr, place: Expr, lanes: int) -> Expr:
            value = self._x(at + place, lanes)
            if mean is None:
                return total + value
            centred = vector.bind(value - vector.splat(mean, lanes))
            return vector.fma(centred, centred, total, lanes)

        return float_sum(self.isa, self.op.extent, add)

    def _write(self, at: Expr, mean: Expr, ratio: Expr) -> None:
        """Store a row, rounded, in float or both."""
        def write(place: Expr, lanes: int, count: int) -> None:
            normals = []
            for i in range(count):
                centred = self._x(at + place + i * lanes, lanes) - vector.splat(mean, lanes)
                normals.append(vector.bind(centred * vector.splat(ratio, lanes)))
            if self.op.has_float:
                for i, y in enumerate(self._scaled(normals, "", place)):
                    vector.store(self.operands["y"], at + place + i * lanes, y, lanes)
            if self.op.quantized is not None:
                steps = self._scaled(normals, "step_", place)
                self._store_rounded(steps, at + place, lanes)

        lanes, extent = self.isa.of_reals.lanes, self.op.extent
        group = JOINED_VECTORS * lanes
        full, rest = divmod(extent, group)
        if full:
            with vector.loop(full) as index:
                write(index * group, lanes, JOINED_VECTORS)
        if rest >= lanes:
            write(T.int32(full * group), lanes, rest // lanes)
        for place in range(extent - rest % lanes, extent):
            write(T.int32(place), 1, 1)

    def _scaled(self, normals: list[Expr], prefix: str, place: Expr) -> list[Expr]:
        """Neighbouring vectors times their gain plus their offset."""
        lanes = vector.num_lanes(normals[0])
        found = []
        for i, normal in enumerate(normals):
            gain, offset = (
                vector.load(self.operands[f"{prefix}{name}"], place + i * lanes, lanes)
                for name in ("gain", "offset"))
            found.append(vector.bind(vector.fma(normal, gain, offset, lanes)))
        return found

    def _store_rounded(self, steps: list[Expr], at: Expr, lanes: int) -> None:
        """Round neighbouring vectors and store their bytes."""
        dtype = self.op.quantized
        assert dtype is not None
        zero_point, low, high = (
            vector.load(self.operands["params"], slot)
            for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
        joined = None
        if lanes == self.isa.lanes:
            joined = self.isa.quantize_vectors(steps, zero_point, low, high, dtype)
        if joined is not None:
            count = len(steps) * lanes
            stored = vector.take_first(joined, count)
            vector.store(self.operands["rounded"], at, stored, count)
            return
        limits = [
            vector.splat(vector.cast(limit - zero_point, "float32", 1), lanes)
            for limit in (low, high)]
        for i, step in enumerate(steps):
            rounded = self.isa.round_to_int32(clamp(step, *limits), lanes)
            moved = rounded + vector.splat(zero_point, lanes)
            narrow = self.isa.narrow(moved, dtype, lanes)
            vector.store(self.operands["rounded"], at + i * lanes, narrow, lanes)
