"""Elementwise operations of two tensors: broadcasting is a stride of zero."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.epilogue import constant_arrays, constant_parameters
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.rescale import Rescale, centred, for_blocks, scalar
from octavo.targets.kernels.spans import for_spans, nest, offset
from octavo.targets.kernels.twice_rounded import divide_rounding
from octavo.targets.ops.binary import FLOAT_KINDS, INTEGER_KINDS, TERM_BITS, Binary
from octavo.targets.ops.move import dense_strides
from octavo.targets.ops.requantize import SIGNIFICAND_BITS, Requantize
from octavo.targets.wide_lanes import Wide, WideLanes

Arrays = Mapping[str, NDArray[Any]]
CHUNK = 16384  # elements of one task of an operation without outer loops


@dataclass(frozen=True)
class Axis:
    """One loop over the output: its extent, and how far a and b go."""

    extent: int
    a: int
    b: int


def merged_axes(op: Binary) -> list[Axis]:
    """The fewest loops that visit every element of the output in order."""
    merged: list[Axis] = []
    strides = [dense_strides(shape) for shape in (op.a_shape, op.b_shape)]
    for i, extent in enumerate(op.shape):
        if extent == 1:
            continue
        axis = Axis(extent, *(
            0 if shape[i] == 1 else stride[i]
            for shape, stride in zip((op.a_shape, op.b_shape), strides, strict=True)))
        last = merged[-1] if merged else None
        if last and (last.a, last.b) == (axis.a * extent, axis.b * extent):
            merged[-1] = Axis(last.extent * extent, axis.a, axis.b)
        else:
            merged.append(axis)
    return merged or [Axis(1, 1, 1)]


class ElementwiseBinary:
    """Serves every operation of two tensors."""

    name = "binary"

    def reject(self, op: Binary, isa: Isa) -> str:
        """Say why not."""
        del isa
        if not len(op.shape) == len(op.a_shape) == len(op.b_shape):
            return f"ranks differ: {op.shape}, {op.a_shape}, {op.b_shape}"
        if (op.a_dtype == "float32") != (op.b_dtype == "float32"):
            return f"types {op.a_dtype} and {op.b_dtype}"
        if op.kind not in (FLOAT_KINDS if op.is_float else INTEGER_KINDS):
            return f"{op.kind} of {op.a_dtype}"
        return ""

    def variant(self, op: Binary, isa: Isa) -> str:
        """Name the operation and the inner loop."""
        inner = merged_axes(op)[-1]
        form = {(1, 1): "dense", (1, 0): "scalar_b", (0, 1): "scalar_a"}[inner.a, inner.b]
        return f"{self.name}.{op.kind}.{isa.name}.{form}"

    def build(self, op: Binary, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa.of_reals if op.is_float else isa).build()

    def constants(self, op: Binary, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Zero points and the epilogue's constants."""
        del isa
        if op.is_float:
            return []
        zero_points = np.asarray(arrays["zero_points"]).reshape(-1).astype(np.int32)
        found = [zero_points, *constant_arrays(_two_terms(op), 1, arrays).values()]
        if op.rounds_terms:
            found.insert(1, np.asarray(arrays["terms"], np.int64))
        return found

    def scratch_bytes(self, op: Binary, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _two_terms(op: Binary) -> Requantize:
    """The epilogue whose constants are this operation's: b is scaled like a residual."""
    is_scaled = op.has_two_terms and not op.rounds_terms
    return replace(op.requantize, residual=op.b_dtype if is_scaled else None)


class _Emitter:
    """Emits one operation."""

    def __init__(self, op: Binary, isa: Isa) -> None:
        self.op = op
        self.isa = isa
        self.axes = merged_axes(op)

    def build(self) -> Any:
        op = self.op
        constants = []
        if not op.is_float:
            terms = [("terms", 4, "int64")] if op.rounds_terms else []
            constants = [("zero_points", 2, "int32"), *terms]
            constants += constant_parameters(_two_terms(op), 1)
        parameters = [
            ("a", prod(op.a_shape), op.a_dtype),
            ("b", prod(op.b_shape), op.b_dtype),
            *constants,
            ("y", prod(op.shape), "float32" if op.is_float else op.requantize.dtype),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def _body(self, operands: dict[str, Any]) -> None:
        self.operands = operands
        *outer, inner = self.axes
        is_parallel = prod(self.op.shape) >= PARALLEL_ELEMENTS
        if not outer and is_parallel:
            with vector.loop(-(-inner.extent // CHUNK), parallel=True) as task:
                start = vector.bind(T.min(task * CHUNK, T.int32(inner.extent - CHUNK)))
                self._line(start * inner.a, start * inner.b, start, CHUNK)
            return
        strides = dense_strides(tuple(axis.extent for axis in self.axes))[:-1]
        with nest([axis.extent for axis in outer], is_parallel) as indices:
            a, b, y = (
                vector.bind(T.int32(0) + offset(0, indices, steps)) for steps in (
                    [axis.a for axis in outer], [axis.b for axis in outer], strides))
            self._line(a, b, y, inner.extent)

    def _line(self, a: Expr, b: Expr, y: Expr, extent: int) -> None:
        if self.op.is_float:
            self._float_line(a, b, y, extent)
            return
        finish = Rescale(self.op.requantize, self.isa, self.operands)
        divides = self.op.divides_words and not self.isa.has_word_pairs
        kind = _DividedTerms if divides else _Arithmetic
        arithmetic = kind(self.op, self.isa, self.operands, finish)
        inner = self.axes[-1]

        def emit(at: Expr, count: int) -> None:
            results = [
                arithmetic.combine(
                    self._centred("a", a, inner.a, at + start, arithmetic.zero_a),
                    self._centred("b", b, inner.b, at + start, arithmetic.zero_b))
                for start in finish.starts(count)]
            if divides:
                finish.store_divided(results, y + at, count)
            elif finish.is_dyadic:
                finish.store_totals(results, arithmetic.shift, y + at, count)
            else:
                finish.store_reals(results, y + at, count)

        for_blocks(extent, finish.block, emit)

    def _centred(self, name: str, base: Expr, stride: int, at: Expr, zero_point: Expr) -> Expr:
        lanes = self.isa.lanes
        if stride:
            return centred(self.operands[name], base + at, zero_point, lanes)
        return vector.splat(centred(self.operands[name], base, zero_point, 1), lanes)

    def _float_line(self, a: Expr, b: Expr, y: Expr, extent: int) -> None:
        inner = self.axes[-1]

        def operand(name: str, base: Expr, stride: int, at: Expr, lanes: int) -> Expr:
            if stride:
                return vector.load(self.operands[name], base + at, lanes)
            return vector.splat(vector.load(self.operands[name], base), lanes)

        def emit(at: Expr, lanes: int) -> None:
            left = operand("a", a, inner.a, at, lanes)
            right = operand("b", b, inner.b, at, lanes)
            vector.store(self.operands["y"], y + at, apply(self.op.kind, left, right), lanes)

        for_spans(extent, self.isa.lanes, emit)


def apply(kind: str, a: Expr, b: Expr) -> Expr:
    """Combine two vectors of one type."""
    if kind in ("max", "min"):
        return T.max(a, b) if kind == "max" else T.min(a, b)
    return {"add": lambda: a + b, "sub": lambda: a - b, "mul": lambda: a * b,
            "div": lambda: a / b}[kind]()


class _Arithmetic:
    """Combines two vectors of centred integers to reals, or to dyadic totals."""

    def __init__(
        self, op: Binary, isa: Isa, operands: Mapping[str, Any], finish: Rescale
    ) -> None:
        is_dyadic = finish.is_dyadic
        self.finish = finish
        self.op = op
        self.lanes = isa.lanes
        self.wide = isa.wide_lanes(isa.lanes) if is_dyadic else None
        self.zero_a, self.zero_b = (
            vector.bind(vector.load(operands["zero_points"], i)) for i in (0, 1))
        first = "significand" if is_dyadic else "multiplier"
        self.shift = scalar(operands, "shift") if is_dyadic else None
        self.scale_a = scalar(operands, first)
        if op.rounds_terms:
            self.terms = [scalar(operands, "terms", i) for i in range(4)]
        elif op.has_two_terms:
            self.scale_b = scalar(operands, f"residual_{first}")

    def combine(self, a: Expr, b: Expr) -> Expr:
        """Combine int32 lanes."""
        if self.wide is not None:
            return self._total(self.wide, a, b)
        lanes, kind = self.lanes, self.op.kind
        scale_a = vector.splat(self.scale_a, lanes)
        if kind == "mul":
            return vector.cast(a * b, "float32", lanes) * scale_a
        left = vector.cast(a, "float32", lanes) * scale_a
        right, scale_b = vector.cast(b, "float32", lanes), vector.splat(self.scale_b, lanes)
        if kind in ("max", "min"):
            return apply(kind, left, right * scale_b)
        return vector.fma(right, scale_b, left, lanes)

    def _total(self, wide: WideLanes, a: Expr, b: Expr) -> Wide:
        scale_a = wide.same(self.scale_a)
        if self.op.rounds_terms:
            ta, shift_a, tb, shift_b = self.terms
            (left,) = self.finish.round_twice([wide.extend(a) * wide.same(ta)], shift_a)
            (right,) = self.finish.round_twice([wide.extend(b) * wide.same(tb)], shift_b)
            return (left + right if self.op.kind == "add" else left - right) * scale_a
        if self.op.kind == "mul":
            return wide.extend(a * b) * scale_a
        left = wide.extend(a) * scale_a
        right = wide.extend(b) * wide.same(self.scale_b)
        if self.op.kind in ("max", "min"):
            return (wide.larger if self.op.kind == "max" else wide.smaller)(left, right)
        return left + right


class _DividedTerms:
    """Combines two vectors of centred integers to what ``Rescale.store_divided`` takes."""

    def __init__(
        self, op: Binary, isa: Isa, operands: Mapping[str, Any], finish: Rescale
    ) -> None:
        del finish
        self.shift = None
        self.wide = isa.wide_lanes(isa.lanes)
        self.op = op
        self.lanes = isa.lanes
        self.zero_a, self.zero_b = (
            vector.bind(vector.load(operands["zero_points"], i)) for i in (0, 1))
        if op.rounds_terms:
            self.terms = [self._term(operands["terms"], 2 * i) for i in (0, 1)]

    def _term(self, terms: Any, first: int) -> list[Expr]:
        """Significand, places and half of an operand, in all lanes."""
        wide, shift = (vector.load(terms, first + i) for i in (0, 1))
        significand = vector.cast(T.shift_right(wide, T.int64(TERM_BITS)), "int32", 1)
        places = vector.bind(vector.cast(shift, "int32", 1) - T.int32(SIGNIFICAND_BITS))
        # not (1 << places) >> 1, which TVM 0.27 takes for 0
        is_more = T.min(places, T.int32(1))
        half = is_more * T.shift_left(T.int32(1), T.max(places, T.int32(1)) - T.int32(1))
        return [
            vector.splat(vector.bind(value), self.lanes)
            for value in (significand, places, half)]

    def combine(self, a: Expr, b: Expr) -> Expr:
        """Combine int32 lanes."""
        if self.op.kind == "mul":
            return vector.bind(a * b)
        left, right = (
            self._rounded(value, *term)
            for value, term in zip((a, b), self.terms, strict=True))
        return vector.bind(left + right if self.op.kind == "add" else left - right)

    def _rounded(self, value: Expr, significand: Expr, places: Expr, half: Expr) -> Expr:
        moved = T.shift_left(value, vector.splat(T.int32(TERM_BITS), self.lanes))
        high = self.wide.high_product(vector.bind(moved), significand)
        return divide_rounding(high, places, half, self.lanes)
