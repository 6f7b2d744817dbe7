"""Reduce the middle axis of (outer, extent, inner), in vectors of ``inner`` or ``extent``."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.epilogue import constant_arrays, constant_parameters
from octavo.targets.kernels.float_sum import float_sum
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.pool import MAX_TAPS, finish_sums
from octavo.targets.kernels.rescale import Rescale, scalar
from octavo.targets.ops.pool import MAX_WORDS, REDUCTIONS, Reduce

Arrays = Mapping[str, NDArray[Any]]


class ReduceAxis:
    """Serves every reduction."""

    name = "reduce"

    def reject(self, op: Reduce, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.kind not in REDUCTIONS:
            return f"kind {op.kind!r}"
        if op.dtype not in ("uint8", "int8", "int16", "float32"):
            return f"{op.dtype} elements; only uint8, int8, int16 and float32"
        if op.dtype == "float32":
            return "" if op.requantize.dtype == "float32" else "a float result stays float"
        most = MAX_WORDS if op.dtype == "int16" else MAX_TAPS
        if op.extent > most:
            return f"{op.extent} elements may overflow 32 bits; at most {most}"
        return ""

    def variant(self, op: Reduce, isa: Isa) -> str:
        """Name the reduction and the axis of its vectors."""
        along = "along" if op.inner == 1 else "across"
        return f"{self.name}.{op.kind}.{isa.name}.{along}"

    def build(self, op: Reduce, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        isa = isa.of_reals if op.dtype == "float32" else isa
        parameters = [
            ("x", op.outer * op.extent * op.inner, op.dtype),
            *([] if op.dtype == "float32" else [("zero_point", 1, "int32")]),
            *constant_parameters(op.requantize, 1),
            ("y", op.outer * op.inner, op.requantize.dtype),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters,
            lambda *buffers: _Emitter(op, isa, dict(zip(names, buffers, strict=True))).emit())

    def constants(self, op: Reduce, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Zero point of the input, and the epilogue's constants."""
        del isa
        epilogue = constant_arrays(op.requantize, 1, arrays)
        zero_point = [] if op.dtype == "float32" else [
            np.asarray(arrays["zero_point"]).reshape(-1).astype(np.int32)]
        return [*zero_point, *epilogue.values()]

    def scratch_bytes(self, op: Reduce, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


class _Emitter:
    """Emits one reduction: tasks of one block of outputs each."""

    def __init__(self, op: Reduce, isa: Isa, operands: dict[str, Any]) -> None:
        self.op = op
        self.isa = isa
        self.operands = operands
        self.is_sum = op.kind in ("mean", "sum")
        self.is_float = op.dtype == "float32"
        self.wide = "float32" if self.is_float else "int32"

    def emit(self) -> None:
        op, lanes = self.op, self.isa.lanes
        size = lanes * 4
        total = op.outer if op.inner == 1 else op.inner
        blocks, count = -(-total // size), min(total, size)
        is_parallel = op.outer * op.extent * op.inner >= PARALLEL_ELEMENTS
        rows = 1 if op.inner == 1 else op.outer
        with vector.loop(rows * blocks, parallel=is_parallel) as task:
            finish = Rescale(op.requantize, self.isa, self.operands)
            names = ("significand", "shift") if finish.is_dyadic else ("multiplier",)
            scales = [scalar(self.operands, name) for name in names]
            self.zero_point: Expr = None if self.is_float else vector.bind(
                vector.load(self.operands["zero_point"], 0))
            # The last block moves back over its neighbour, so that all blocks are whole.
            start = T.int32(0) + task % blocks * size
            start = vector.bind(T.min(start, T.int32(total - count)))
            acc = vector.local(-(-count // lanes) * lanes, self.wide)
            if op.inner == 1:
                with vector.loop(count) as row:
                    vector.store(acc, row, self._along((start + row) * op.extent))
            else:
                self._across(acc, task // blocks * op.extent * op.inner + start, count)
            sums = [vector.load(acc, at, lanes) for at in finish.starts(count)]
            finish_sums(finish, sums, scales, task // blocks * op.inner + start, count)

    def _combine(self, a: Expr, b: Expr) -> Expr:
        if self.is_sum:
            return a + b
        return T.max(a, b) if self.op.kind == "max" else T.min(a, b)

    def _initial(self, num_values: int) -> Expr:
        """What a fold of ``num_values`` elements starts from, the zero points included."""
        if self.is_float:
            return T.float32({"max": -np.inf, "min": np.inf}.get(self.op.kind, 0.0))
        if self.is_sum:
            return T.int32(0) - self.zero_point * num_values
        lowest = self.op.kind == "max"
        return T.int32(-(2**30) if lowest else 2**30)

    def _final(self, folded: Expr, lanes: int) -> Expr:
        if self.is_sum or self.is_float:
            return folded
        return folded - vector.splat(self.zero_point, lanes)

    def _load(self, offset: Expr, lanes: int) -> Expr:
        return vector.cast(vector.load(self.operands["x"], offset, lanes), self.wide, lanes)

    def _across(self, acc: Any, base: Expr, count: int) -> None:
        """Fold rows of ``inner`` elements, several vectors at once."""
        op, lanes = self.op, self.isa.lanes
        starts = range(0, count, lanes)
        for at in starts:
            first = vector.splat(self._initial(op.extent), lanes)
            vector.store(acc, at, first, lanes)
        with vector.loop(op.extent) as index:
            for at in starts:
                found = self._load(base + index * op.inner + at, lanes)
                folded = self._combine(vector.load(acc, at, lanes), found)
                vector.store(acc, at, folded, lanes)
        if not self.is_sum:
            for at in starts:
                vector.store(acc, at, self._final(vector.load(acc, at, lanes), lanes), lanes)

    def _along(self, base: Expr) -> Expr:
        """Fold ``extent`` consecutive elements to one."""
        op, lanes = self.op, self.isa.lanes
        if self.is_float and self.is_sum:
            return float_sum(
                self.isa, op.extent,
                lambda total, place, count: total + self._load(base + place, count))
        whole, rest = divmod(op.extent, lanes)
        parts = []
        if whole:
            held = vector.local(lanes, self.wide)
            neutral = self._initial(0)
            vector.store(held, 0, vector.splat(neutral, lanes), lanes)
            with vector.loop(whole) as index:
                folded = self._combine(
                    vector.load(held, 0, lanes), self._load(base + index * lanes, lanes))
                vector.store(held, 0, folded, lanes)
            parts.append(self._fold(held, lanes))
        at, width = whole * lanes, lanes
        while rest:
            width //= 2
            if rest >= width:
                held = vector.local(width, self.wide)
                vector.store(held, 0, self._load(base + at, width), width)
                parts.append(self._fold(held, width))
                at, rest = at + width, rest - width
        folded = reduce(self._combine, parts)
        if self.is_sum:
            return folded + self._initial(op.extent)
        return self._final(folded, 1)

    def _fold(self, held: Any, lanes: int) -> Expr:
        """Fold the lanes of a local, halving it."""
        while lanes > 1:
            lanes //= 2
            folded = self._combine(
                vector.load(held, 0, lanes), vector.load(held, lanes, lanes))
            vector.store(held, 0, folded, lanes)
        return vector.load(held, 0)
