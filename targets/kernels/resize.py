"""Resize images: vectors of channels, indices and weights from tables made when compiled."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.epilogue import constant_arrays, constant_parameters
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.pool import finish_sums
from octavo.targets.kernels.rescale import Rescale, centred, for_blocks, scalar
from octavo.targets.kernels.spans import BITS, for_spans
from octavo.targets.ops.requantize import Requantize
from octavo.targets.ops.resize import LINEAR, NEAREST, Resize

Arrays = Mapping[str, NDArray[Any]]
REAL = Requantize(dtype="float32")  # stores float vectors as they are


class ResizeImage:
    """Serves nearest and linear resizing."""

    name = "resize"

    def reject(self, op: Resize, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.kind not in (NEAREST, LINEAR):
            return f"kind {op.kind!r}; only {NEAREST} and {LINEAR}"
        if op.kind == NEAREST and op.requantize is not None:
            return "nearest copies; it cannot change the scale"
        if op.kind == LINEAR and (op.dtype == "float32") != (op.requantize is None):
            return f"linear {op.dtype} with epilogue {op.requantize}"
        return ""

    def variant(self, op: Resize, isa: Isa) -> str:
        """Name the kind."""
        return f"{self.name}.{op.kind}.{isa.name}"

    def build(self, op: Resize, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        isa = isa.of_reals if op.dtype == "float32" else isa
        is_copy = op.kind == NEAREST
        in_dtype = BITS[np.dtype(op.dtype).itemsize] if is_copy else op.dtype
        parameters = [
            ("x", op.batch * op.in_h * op.in_w * op.channels, in_dtype),
            *_constants(op),
            ("y", op.batch * op.out_h * op.out_w * op.channels,
             in_dtype if is_copy else op.out_dtype),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(parameters, lambda *buffers: _emit(
            op, isa, dict(zip(names, buffers, strict=True))))

    def constants(self, op: Resize, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Indices, weights, and the epilogue's constants.

        Raises:
            ValueError: An index is outside of the image.
        """
        del isa
        for name, size in (("row_index", op.in_h), ("col_index", op.in_w)):
            index = np.asarray(arrays[name])
            if index.min() < 0 or index.max() >= size:
                raise ValueError(f"{name}: {index.min()}..{index.max()} of {size}")
        epilogue = {} if op.requantize is None else constant_arrays(op.requantize, 1, arrays)
        packed = []
        for name, elements, dtype in _constants(op):
            array = epilogue[name] if name in epilogue else np.asarray(arrays[name])
            packed.append(np.ascontiguousarray(array.reshape(-1)[:elements], dtype))
        return packed

    def scratch_bytes(self, op: Resize, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _constants(op: Resize) -> list[tuple[str, int, str]]:
    constants = [("row_index", 2 * op.out_h, "int32"), ("col_index", 2 * op.out_w, "int32")]
    if op.kind == NEAREST:
        return constants
    dtype = "int32" if op.has_integer_weights else "float32"
    constants += [("row_weight", 2 * op.out_h, dtype), ("col_weight", 2 * op.out_w, dtype)]
    if op.requantize is not None:
        constants += [("zero_point", 1, "int32"), *constant_parameters(op.requantize, 1)]
    return constants


def _emit(op: Resize, isa: Isa, operands: dict[str, Any]) -> None:
    is_parallel = op.batch * op.out_h * op.out_w * op.channels >= PARALLEL_ELEMENTS
    with vector.loop(op.batch * op.out_h, parallel=is_parallel) as task:
        image = task // op.out_h if op.batch > 1 else 0
        row = vector.bind(T.int32(0) + task % op.out_h)
        lines = [
            vector.bind((image * op.in_h + vector.load(operands["row_index"], row * 2 + i))
                        * op.in_w)
            for i in range(1 if op.kind == NEAREST else 2)]
        if op.kind == NEAREST:
            _nearest(op, isa, operands, task, lines[0])
        else:
            _linear(op, isa, operands, task, row, lines)


def _nearest(op: Resize, isa: Isa, operands: dict[str, Any], task: Expr, line: Expr) -> None:
    lanes = isa.lanes * 4 // np.dtype(op.dtype).itemsize
    with vector.loop(op.out_w) as column:
        pixel = vector.load(operands["col_index"], column * 2)
        src = vector.bind((line + pixel) * op.channels)
        dst = vector.bind((T.int32(0) + task * op.out_w + column) * op.channels)

        def copy(at: Expr, width: int) -> None:
            value = vector.load(operands["x"], src + at, width)
            vector.store(operands["y"], dst + at, value, width)

        for_spans(op.channels, lanes, copy)


def _linear(
    op: Resize, isa: Isa, operands: dict[str, Any], task: Expr, row: Expr, lines: list[Expr]
) -> None:
    lanes = isa.lanes
    finish = Rescale(op.requantize or REAL, isa, operands)
    scales = []
    if op.requantize is not None:
        zero_point = vector.bind(vector.load(operands["zero_point"], 0))
        names = ("significand", "shift") if finish.is_dyadic else ("multiplier",)
        scales = [scalar(operands, name) for name in names]
    row_weights = [
        vector.bind(vector.load(operands["row_weight"], row * 2 + i)) for i in (0, 1)]
    with vector.loop(op.out_w) as column:
        col_weights = [
            vector.bind(vector.load(operands["col_weight"], column * 2 + i)) for i in (0, 1)]
        pixels = [
            vector.bind((lines[i] + vector.load(operands["col_index"], column * 2 + j))
                        * op.channels)
            for i, j in product((0, 1), (0, 1))]
        out = vector.bind((T.int32(0) + task * op.out_w + column) * op.channels)
        corners = [vector.bind(r * c) for r, c in product(row_weights, col_weights)] if (
            op.has_integer_weights) else []

        def mixed(at: Expr) -> Expr:
            if op.requantize is None:
                found = [vector.load(operands["x"], p + at, lanes) for p in pixels]
            else:
                found = [centred(operands["x"], p + at, zero_point, lanes) for p in pixels]
            if op.has_integer_weights:
                terms = [value * vector.splat(weight, lanes)
                         for value, weight in zip(found, corners, strict=True)]
                return terms[0] + terms[1] + terms[2] + terms[3]
            reals = [vector.cast(value, "float32", lanes) for value in found]
            top = _mix(reals[0], reals[1], col_weights, lanes)
            return _mix(top, _mix(reals[2], reals[3], col_weights, lanes), row_weights, lanes)

        def emit(at: Expr, count: int) -> None:
            values = [vector.bind(mixed(at + start)) for start in finish.starts(count)]
            if op.requantize is None:
                finish.store_reals(values, out + at, count)
            else:
                finish_sums(finish, values, scales, out + at, count)

        for_blocks(op.channels, finish.block, emit)


def _mix(a: Expr, b: Expr, weights: list[Expr], lanes: int) -> Expr:
    first, second = (vector.splat(weight, lanes) for weight in weights)
    return vector.fma(b, second, a * first, lanes)
