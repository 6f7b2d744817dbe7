"""Elementwise operations of two operands on a GPU: quads along the last axis."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.epilogue import (
    each_quad,
    epilogue_arrays,
    epilogue_parameters,
    finish_real,
    is_dyadic,
    round_dyadic,
    store_lanes,
    store_rounded,
)
from octavo.targets.opencl.grid import (
    QUAD,
    Expr,
    Parameter,
    View,
    bind,
    fma_quad,
    grid_func,
    quad_cast,
    quotient,
    rest,
    splat,
)
from octavo.targets.ops.binary import Binary

Arrays = Mapping[str, NDArray[Any]]
EXACT_FLOAT_KINDS = ("add", "sub", "mul")


class GpuBinary:
    """Serves integers, and sums, differences and products of floats."""

    name = "gpu_binary"

    def reject(self, op: Binary, accelerator: Accelerator) -> str:
        """Accept what OpenCL rounds correctly."""
        if op.is_float and op.kind not in EXACT_FLOAT_KINDS:
            return f"{op.kind} of floats"
        return ""

    def variant(self, op: Binary, accelerator: Accelerator) -> str:
        """Name the operation and the device."""
        return f"{self.name}.{op.kind}.{accelerator.name}"

    def build(self, op: Binary, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        emitter = _Emitter(op)
        return grid_func(
            accelerator, emitter.parameters(), (-(-emitter.last // QUAD), emitter.rows),
            emitter.emit_place)

    def constants(
        self, op: Binary, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Zero points, and the epilogue's constants with the second operand's multiplier."""
        if op.is_float:
            return []
        zero_points = np.asarray(arrays["zero_points"]).reshape(-1).astype(np.int32)
        constants = [zero_points]
        constants += epilogue_arrays(op.requantize, 1, arrays, np.ascontiguousarray)
        for name, _, dtype in _second(op):
            constants.append(np.asarray(arrays[name]).reshape(-1)[:1].astype(dtype))
        return constants


def _second(op: Binary) -> list[Parameter]:
    """The multiplier of the second operand."""
    if op.is_float or not op.has_two_terms:
        return []
    if is_dyadic(op.requantize):
        return [("residual_significand", 1, "int64")]
    return [("residual_multiplier", 1, "float32")]


class _Emitter:
    """Emits one operation."""

    def __init__(self, op: Binary) -> None:
        self.op = op
        is_same = op.a_shape == op.b_shape == op.shape
        self.shape = (prod(op.shape),) if is_same else (op.shape or (1,))
        self.a_shape, self.b_shape = (
            self.shape if is_same else (shape or (1,)) for shape in (op.a_shape, op.b_shape))
        self.last = self.shape[-1]
        self.rows = prod(self.shape[:-1])

    def parameters(self) -> list[Parameter]:
        op = self.op
        parameters: list[Parameter] = [
            ("a", prod(op.a_shape), op.a_dtype), ("b", prod(op.b_shape), op.b_dtype)]
        if not op.is_float:
            parameters.append(("zero_points", 2, "int32"))
            parameters += epilogue_parameters(op.requantize, 1)
            parameters += _second(op)
        dtype = "float32" if op.is_float else op.requantize.dtype
        return [*parameters, ("y", prod(op.shape), dtype)]

    def emit_place(self, views: dict[str, View], place: tuple[Expr, ...]) -> None:
        number, row = place
        column = bind(number * QUAD)
        a = self._load(views["a"], self.a_shape, row, column)
        b = self._load(views["b"], self.b_shape, row, column)
        offset = bind(row * self.last + column)
        each_quad(
            self.last, number, lambda valid: self._finish(views, a, b, offset, valid))

    def _load(self, view: View, shape: tuple[int, ...], row: Expr, column: Expr) -> Expr:
        """A quad of an operand, repeated where it is broadcast."""
        at, number, stride = T.int32(0), row, shape[-1]
        for extent, own in zip(reversed(self.shape[:-1]), reversed(shape[:-1]), strict=True):
            if own > 1:
                at = at + rest(number, extent) * stride
            number = bind(quotient(number, extent))
            stride *= own
        if shape[-1] == 1 and self.last > 1:
            return bind(splat(view.load(at)))
        return bind(view.load_quad(at + column))

    def _finish(
        self, views: dict[str, View], a: Expr, b: Expr, offset: Expr, valid: int
    ) -> None:
        op = self.op
        if op.is_float:
            result = {"add": a + b, "sub": a - b, "mul": a * b}[op.kind]
            store_lanes(views["y"], bind(result), offset, valid)
            return
        left, right = (
            bind(quad_cast(value, "int32") - splat(views["zero_points"].load(slot)))
            for slot, value in enumerate((a, b)))
        if is_dyadic(op.requantize):
            self._dyadic(views, left, right, offset, valid)
            return
        scale = splat(views["multiplier"].load(0))
        if op.kind == "mul":
            real = quad_cast(left * right, "float32") * scale
        else:
            other = splat(views["residual_multiplier"].load(0))
            first, second = (quad_cast(value, "float32") for value in (left, right))
            if op.kind in ("max", "min"):
                pick = T.max if op.kind == "max" else T.min
                real = pick(first * scale, second * other)
            else:
                real = fma_quad(second, other, first * scale)
        finish_real(op.requantize, views, bind(real), offset, valid)

    def _dyadic(
        self, views: dict[str, View], left: Expr, right: Expr, offset: Expr, valid: int
    ) -> None:
        op = self.op
        significand, shift = (
            splat(tirx.Cast("int64", views[name].load(0)))
            for name in ("significand", "shift"))
        total = quad_cast(left, "int64") * significand
        wide = quad_cast(right, "int64")
        if op.kind == "mul":
            total = total * wide
        else:
            other = wide * splat(views["residual_significand"].load(0))
            combine = {"max": T.max, "min": T.min}.get(op.kind, lambda x, y: x + y)
            total = combine(total, other)
        rounded = round_dyadic(total, shift, views["params"])
        store_rounded(op.requantize, views, rounded, offset, valid)
