"""Layer normalization of 8-bit rows: exact integer sums, then one pass over the row."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.ops.layer_norm import (
    MAX_EXTENT,
    MIN_VARIANCE,
    NORMALIZE_STEPS,
    RECIPROCAL_BITS,
    ROOT_SHIFT,
    SPREAD_BITS,
    LayerNorm,
    inverse,
)
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
)
from octavo.targets.wide_lanes import Wide

Arrays = Mapping[str, NDArray[Any]]
# Takes vectors of inputs, their first channel, their place in the tensor, and how many count.
Finish = Callable[[list[Expr], Expr, Expr, int], None]

JOINED_VECTORS = 4  # 32-bit vectors that become one vector of bytes
ROOT_BITS = 31


class LayerNormRows:
    """Serves every layer normalization."""

    name = "layer_norm_rows"

    def reject(self, op: LayerNorm, isa: Isa) -> str:
        """Accept rows whose sums are exact."""
        if op.extent > MAX_EXTENT:
            return f"extent {op.extent}; sums are proved exact up to {MAX_EXTENT}"
        return ""

    def variant(self, op: LayerNorm, isa: Isa) -> str:
        """Name the instructions."""
        return f"{self.name}.{isa.name}"

    def build(self, op: LayerNorm, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        parameters = [
            ("x", op.elements, op.dtype),
            *_constant_parameters(op),
            ("y", op.elements, op.out_dtype),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters,
            lambda *buffers: _Emitter(op, isa, dict(zip(names, buffers, strict=True))).emit())

    def constants(self, op: LayerNorm, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pass the arrays as they are."""
        return [
            np.ascontiguousarray(arrays[name].astype(dtype)).reshape(-1)
            for name, _, dtype in _constant_parameters(op)
        ]

    def scratch_bytes(self, op: LayerNorm, isa: Isa) -> int:
        """Need none."""
        return 0


def _constant_parameters(op: LayerNorm) -> list[tuple[str, int, str]]:
    if op.mode == "float32":
        own = [("gain", op.extent, "float32"), ("offset", op.extent, "float32"),
               ("epsilon", 1, "float32")]
    else:
        own = [("gain", op.extent, "int32"), ("offset", op.extent, "int64"),
               ("shift", 1, "int64"), ("epsilon", 1, "int64")]
    return [*own, ("zero_point", 1, "int32"), ("params", NUM_PARAMS, "int32")]


class _Emitter:
    """Emits one layer normalization."""

    def __init__(self, op: LayerNorm, isa: Isa, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.isa = isa
        self.operands = operands

    def emit(self) -> None:
        op = self.op
        with vector.loop(op.rows, op.elements >= PARALLEL_ELEMENTS) as row:
            at = vector.bind(T.int32(0) + row * op.extent)
            total, squares = self._sums(at)
            zero = vector.bind(self._scalar("zero_point", 0, "int64"))
            n = T.int64(op.extent)
            # From sums over x to sums over x - zero.
            centred = vector.bind(total - n * zero)
            centred_squares = squares - T.int64(2) * zero * total + n * zero * zero
            spread = vector.bind(n * centred_squares - centred * centred)
            # n (x - zero) - s = n x - base
            base = vector.bind(n * zero + centred)
            finish = (self._float32 if op.mode == "float32" else self._dyadic)(spread, base)
            self._write(at, finish)

    def _scalar(self, name: str, slot: int, dtype: str) -> Expr:
        return vector.cast(vector.load(self.operands[name], slot), dtype, 1)

    def _sums(self, at: Expr) -> tuple[Expr, Expr]:
        """Sum of a row and of its squares, int64."""
        lanes, x = self.isa.lanes, self.operands["x"]
        sums = vector.local(2 * lanes, "int32")
        for part in range(2):
            vector.store(sums, part * lanes, vector.splat(T.int32(0), lanes), lanes)

        def take(offset: Expr, valid: int) -> None:
            value = vector.cast(vector.load(x, at + offset, lanes), "int32", lanes)
            if valid < lanes:
                ends = vector.splat(T.int32(valid), lanes)
                is_valid = tirx.Ramp(T.int32(0), 1, lanes) < ends
                value = tirx.Select(is_valid, value, vector.splat(T.int32(0), lanes))
            value = vector.bind(value)
            vector.store(sums, 0, vector.load(sums, 0, lanes) + value, lanes)
            vector.store(
                sums, lanes, vector.load(sums, lanes, lanes) + value * value, lanes)

        full, rest = divmod(self.op.extent, lanes)
        if full:
            with vector.loop(full) as block:
                take(block * lanes, lanes)
        if rest:
            take(full * lanes, rest)
        total, squares = (
            vector.bind(vector.cast(vector.intrinsic(
                "int32", 1, "llvm.vector.reduce.add", vector.load(sums, part * lanes, lanes)),
                "int64", 1))
            for part in range(2))
        return total, squares

    def _write(self, at: Expr, finish: Finish) -> None:
        """Hand the inputs of a row to ``finish``, some vectors at a time."""
        op, lanes = self.op, self.isa.lanes
        width = JOINED_VECTORS * lanes

        def block(first: Expr, valid: int) -> None:
            inputs = [
                vector.load(self.operands["x"], at + first + start, lanes)
                for start in range(0, valid, lanes)
            ]
            finish(inputs, first, at + first, valid)

        full, rest = divmod(op.extent, width)
        if full:
            with vector.loop(full) as index:
                block(index * width, width)
        if rest:
            block(full * width, rest)

    def _params(self) -> tuple[Expr, Expr, Expr]:
        zero_point, low, high = (
            vector.load(self.operands["params"], slot)
            for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
        return zero_point, low, high

    def _float32(self, spread: Expr, base: Expr) -> Finish:
        op, isa, lanes = self.op, self.isa, self.isa.lanes

        def constant(value: float | np.float32) -> Expr:
            return tirx.const(float(value), "float32")

        variance = vector.fma(
            vector.cast(spread, "float32", 1), constant(inverse(op.extent**2)[0]),
            vector.load(self.operands["epsilon"], 0), 1)
        variance = T.max(variance, constant(MIN_VARIANCE))
        root = vector.intrinsic("float32", 1, "llvm.sqrt", variance)
        ratio = vector.bind(vector.splat(
            vector.bind(constant(inverse(op.extent)[0]) / root), lanes))
        n = vector.splat(constant(op.extent), lanes)
        minus_base = vector.bind(
            vector.splat(vector.cast(T.int64(0) - base, "float32", 1), lanes))
        zero_point, low, high = self._params()

        def finish(inputs: list[Expr], channel: Expr, y_at: Expr, valid: int) -> None:
            reals = []
            for i, x in enumerate(inputs):
                # Integers below 2**24: this is exact, fused or not.
                scaled = vector.fma(vector.cast(x, "float32", lanes), n, minus_base, lanes)
                gain, offset = (
                    vector.load(self.operands[name], channel + i * lanes, lanes)
                    for name in ("gain", "offset"))
                reals.append(vector.bind(vector.fma(scaled * ratio, gain, offset, lanes)))
            joined = isa.quantize_vectors(reals, zero_point, low, high, op.out_dtype)
            if joined is not None:
                self._store(joined, y_at, valid)
                return
            limits = [vector.splat(vector.cast(q - zero_point, "float32", 1), lanes)
                      for q in (low, high)]
            for i, real in enumerate(reals):
                rounded = isa.round_to_int32(clamp(real, *limits), lanes)
                narrow = isa.narrow(
                    rounded + vector.splat(zero_point, lanes), op.out_dtype, lanes)
                self._store(narrow, y_at + i * lanes, min(lanes, valid - i * lanes))

        return finish

    def _dyadic(self, spread: Expr, base: Expr) -> Finish:
        op, isa, lanes = self.op, self.isa, self.isa.lanes
        wide = isa.wide_lanes(lanes)
        ratio, shift = self._ratio(spread)
        last_shift = vector.bind(vector.load(self.operands["shift"], 0))
        zero_point, low, high = (vector.cast(v, "int64", 1) for v in self._params())

        def round_shift(value: Wide, shift: Expr) -> Wide:
            half = T.shift_left(T.int64(1), shift - T.int64(1))
            return (value + wide.same(half)) >> wide.same(shift)

        def finish(inputs: list[Expr], channel: Expr, y_at: Expr, valid: int) -> None:
            for i, x in enumerate(inputs):
                scaled = wide.extend(x) * wide.same(T.int64(op.extent)) - wide.same(base)
                normal = round_shift(scaled * wide.same(ratio), shift)
                at = channel + i * lanes
                count = min(lanes, valid - i * lanes)
                gain = wide.extend(vector.load(self.operands["gain"], at, lanes))
                offset = wide.load(self.operands["offset"], at, count)
                steps = round_shift(normal * gain + offset, last_shift)
                limited = wide.limit(steps + wide.same(zero_point), low, high)
                self._store(
                    isa.narrow(limited, op.out_dtype, lanes), y_at + i * lanes, count)

        return finish

    def _ratio(self, spread: Expr) -> tuple[Expr, Expr]:
        """Reciprocal of the root of the spread, and the shift behind it."""
        state = vector.local(3, "int64")  # spread, exponent, root
        scaled = T.shift_left(spread, T.int64(SPREAD_BITS))
        vector.store(state, 0, T.max(
            scaled + vector.load(self.operands["epsilon"], 0), T.int64(1)))
        vector.store(state, 1, T.int64(0))
        for step in NORMALIZE_STEPS:
            value = vector.bind(vector.load(state, 0))
            is_small = vector.bind(value < T.int64(1 << (62 - 2 * step)))
            vector.store(state, 0, tirx.Select(
                is_small, T.shift_left(value, T.int64(2 * step)), value))
            exponent = vector.load(state, 1)
            vector.store(state, 1, tirx.Select(is_small, exponent + T.int64(step), exponent))
        vector.store(state, 2, T.int64(0))
        with vector.loop(ROOT_BITS) as index:
            bit = T.shift_left(
                T.int64(1), vector.cast(T.int32(ROOT_BITS - 1) - index, "int64", 1))
            trial = vector.bind(T.bitwise_or(vector.load(state, 2), bit))
            vector.store(state, 2, tirx.Select(
                trial * trial <= vector.load(state, 0), trial, vector.load(state, 2)))
        ratio = vector.bind(T.truncdiv(T.int64(1 << RECIPROCAL_BITS), vector.load(state, 2)))
        return ratio, vector.bind(T.int64(ROOT_SHIFT) - vector.load(state, 1))

    def _store(self, value: Expr, at: Expr, valid: int) -> None:
        vector.store(self.operands["y"], at, vector.take_first(value, valid), valid)

