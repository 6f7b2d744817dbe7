"""Move elements: contiguous runs as vectors, layout changes as transposed register blocks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.convert import Conversion, settled, takes_bits
from octavo.targets.kernels.move_plan import Axis, MovePlan
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.spans import (
    BITS,
    MAX_ELEMENTS,
    for_spans,
    interleave,
    nest,
    offset,
    shuffle,
    transpose,
)
from octavo.targets.ops.move import COPY, DEQUANTIZE, QUANTIZE, TABLE, Move

Arrays = Mapping[str, NDArray[Any]]
CHUNK = 16384  # elements of one task of a dense move


class MoveElements:
    """Serves every move."""

    name = "move"

    def reject(self, op: Move, isa: Isa) -> str:
        """Accept all but sizes that int32 offsets cannot reach."""
        del isa
        if 0 in op.shape:
            return "moves no element"
        if max(op.src_elements, op.dst_elements) > MAX_ELEMENTS:
            return f"{max(op.src_elements, op.dst_elements)} elements; at most {MAX_ELEMENTS}"
        return ""

    def variant(self, op: Move, isa: Isa) -> str:
        """Name conversion and loop form."""
        return f"{self.name}.{op.convert}.{MovePlan(op, isa).form}"

    def build(self, op: Move, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa).build()

    def constants(self, op: Move, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """The conversion's constants."""
        del isa
        return [np.ascontiguousarray(arrays[name]).reshape(-1).astype(_numpy_type(op, name))
                for name, _, _ in _constants(op)]

    def scratch_bytes(self, op: Move, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _numpy_type(op: Move, name: str) -> str:
    return {"scale": "float32", "zero_point": "int32"}.get(name, op.out_dtype)


def _storage_type(op: Move, dtype: str) -> str:
    return BITS[np.dtype(dtype).itemsize] if op.convert == COPY else dtype


def _constants(op: Move) -> list[tuple[str, int, str]]:
    constants = []
    if op.convert == TABLE:
        constants.append(("table", 256, op.out_dtype))
    if op.convert in (QUANTIZE, DEQUANTIZE):
        constants += [("scale", 1, "float32"), ("zero_point", 1, "int32")]
    if op.fills:
        constants.append(("fill", 1, _storage_type(op, op.out_dtype)))
    return constants


class _Emitter:
    """Emits one move."""

    def __init__(self, op: Move, isa: Isa) -> None:
        self.op = op
        self.isa = isa
        self.plan = MovePlan(op, isa)

    def build(self) -> Any:
        op = self.op
        parameters = [
            ("x", op.src_elements, self._input_type()),
            *_constants(op),
            ("y", op.dst_elements, _storage_type(op, op.out_dtype)),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def _input_type(self) -> str:
        if takes_bits(self.op, self.isa):
            return BITS[np.dtype(self.op.dtype).itemsize]
        return _storage_type(self.op, self.op.dtype)

    def _body(self, operands: dict[str, Any]) -> None:
        self.x, self.y = operands["x"], operands["y"]
        if self.op.fills:
            self._fill(operands["fill"])
        plan, outer = self.plan, self.plan.outer
        if not outer and plan.is_parallel:
            # Nothing around the innermost code to share out: split that.
            if plan.form == "run":
                self._dense(operands)
                return
            if plan.form == "transpose":
                self._striped_transpose(operands)
                return
            pixels = plan.first if plan.form == "interleave" else plan.axes[-1]
            if plan.form in ("interleave", "split") and pixels.extent >= 2 * CHUNK:
                self._striped_pixels(operands, pixels)
                return
        with nest([a.extent for a in outer], self.plan.is_parallel) as indices:
            conversion = Conversion(self.op, self.isa, operands)
            src = vector.bind(offset(self.op.src_offset, indices, [a.src for a in outer]))
            dst = vector.bind(offset(self.op.dst_offset, indices, [a.dst for a in outer]))
            self._inner(conversion, src, dst)

    def _inner(self, conversion: Conversion, src: Expr, dst: Expr) -> None:
        last, form = self.plan.axes[-1], self.plan.form
        if form == "run":
            self._run(conversion, src, dst, last.extent)
        elif form == "repeat":
            self._repeat(conversion, src, dst, last.extent)
        elif form == "reverse":
            self._reverse(conversion, src, dst, last.extent)
        elif form == "interleave":
            self._interleave(conversion, src, dst, self.plan.first.extent)
        elif form == "split":
            self._split(conversion, src, dst, last.extent)
        elif form == "transpose":
            stripes = _num_blocks(self.plan.first.extent, self.plan.block)
            with vector.loop(stripes) as stripe:
                self._transpose_stripe(conversion, src, dst, stripe)
        else:
            with vector.loop(last.extent) as i:
                value = conversion.apply(vector.load(self.x, src + i * last.src), 1)
                vector.store(self.y, dst + i * last.dst, value)

    def _fill(self, fill: Any) -> None:
        elements = self.op.dst_elements
        tasks = -(-elements // CHUNK) if elements >= PARALLEL_ELEMENTS else 1
        size = min(elements, CHUNK) if tasks > 1 else elements
        with vector.loop(tasks, self.plan.is_parallel) as task:
            start = _moved_back(task, size, elements)
            value = vector.bind(vector.load(fill, 0))
            vector.fill(self.y, start, value, size)

    def _dense(self, operands: dict[str, Any]) -> None:
        elements = self.plan.axes[0].extent
        with vector.loop(-(-elements // CHUNK), self.plan.is_parallel) as task:
            start = vector.bind(_moved_back(task, CHUNK, elements))
            conversion = Conversion(self.op, self.isa, operands)
            self._run(
                conversion, start + self.op.src_offset, start + self.op.dst_offset, CHUNK)

    def _striped_transpose(self, operands: dict[str, Any]) -> None:
        stripes = _num_blocks(self.plan.first.extent, self.plan.block)
        with vector.loop(stripes, self.plan.is_parallel) as stripe:
            conversion = Conversion(self.op, self.isa, operands)
            self._transpose_stripe(
                conversion, self.op.src_offset, self.op.dst_offset, stripe)

    def _striped_pixels(self, operands: dict[str, Any], pixels: Axis) -> None:
        with vector.loop(-(-pixels.extent // CHUNK), self.plan.is_parallel) as task:
            start = vector.bind(_moved_back(task, CHUNK, pixels.extent))
            conversion = Conversion(self.op, self.isa, operands)
            src = start * pixels.src + self.op.src_offset
            dst = start * pixels.dst + self.op.dst_offset
            if pixels.src == 1:
                self._interleave(conversion, src, dst, CHUNK)
            else:
                self._split(conversion, src, dst, CHUNK)

    def _run(self, conversion: Conversion, src: Expr, dst: Expr, extent: int) -> None:
        def emit(at: Expr, lanes: int) -> None:
            value = conversion.apply(vector.load(self.x, src + at, lanes), lanes)
            vector.store(self.y, dst + at, value, lanes)

        for_spans(extent, conversion.lanes, emit)

    def _repeat(self, conversion: Conversion, src: Expr, dst: Expr, extent: int) -> None:
        value = vector.bind(conversion.apply(vector.load(self.x, src), 1))
        for_spans(extent, conversion.lanes, lambda at, lanes: vector.store(
            self.y, dst + at, vector.splat(value, lanes), lanes))

    def _reverse(self, conversion: Conversion, src: Expr, dst: Expr, extent: int) -> None:
        def emit(at: Expr, lanes: int) -> None:
            value = vector.load(self.x, src - at - (lanes - 1), lanes)
            if lanes > 1:
                value = shuffle([value], range(lanes - 1, -1, -1))
            vector.store(self.y, dst + at, conversion.apply(value, lanes), lanes)

        for_spans(extent, conversion.lanes, emit)

    def _interleave(self, conversion: Conversion, src: Expr, dst: Expr, extent: int) -> None:
        """Planes to pixels of at most ``FEWEST_BLOCK`` channels."""
        channels, plane = self.plan.axes[-1].extent, self.plan.axes[-1].src

        def emit(at: Expr, lanes: int) -> None:
            values = [vector.bind(vector.load(self.x, src + k * plane + at, lanes))
                      for k in range(channels)]
            if conversion.narrows:
                values = [conversion.settle(v, lanes) for v in values]
                joined = interleave(values, lanes)
            else:
                joined = conversion.apply(
                    vector.bind(interleave(values, lanes)), lanes * channels)
            vector.store(self.y, dst + at * channels, joined, lanes * channels)

        for_spans(extent, self._pixel_lanes(conversion), emit)

    def _split(self, conversion: Conversion, src: Expr, dst: Expr, extent: int) -> None:
        """Pixels of at most ``FEWEST_BLOCK`` channels to planes."""
        first = self.plan.first
        channels = first.extent

        def emit(at: Expr, lanes: int) -> None:
            loaded = vector.load(self.x, src + at * channels, lanes * channels)
            if conversion.narrows:
                loaded = conversion.apply(loaded, lanes * channels)
            loaded = vector.bind(loaded)
            for k in range(channels):
                value = shuffle([loaded], range(k, lanes * channels, channels))
                if not conversion.narrows:
                    value = conversion.apply(vector.bind(value), lanes)
                vector.store(self.y, dst + k * first.dst + at, value, lanes)

        for_spans(extent, self._pixel_lanes(conversion), emit)

    def _pixel_lanes(self, conversion: Conversion) -> int:
        # Shuffles of whole registers of bytes are slow on most CPUs; 16 bytes are not.
        return min(16, conversion.lanes) if np.dtype(self.op.dtype).itemsize == 1 else (
            conversion.lanes)

    def _transpose_stripe(
        self, conversion: Conversion, src: Expr, dst: Expr, stripe: Expr
    ) -> None:
        """One stripe of blocks: ``block`` elements along the source, all of the last axis."""
        last, first, n = self.plan.axes[-1], self.plan.first, self.plan.block
        along = vector.bind(_moved_back(stripe, n, first.extent))

        def emit(at: Expr, lanes: int) -> None:
            rows = [vector.bind(vector.load(self.x, src + (at + k) * last.src + along, n))
                    for k in range(lanes)]
            if conversion.narrows:
                rows = [conversion.settle(row, n) for row in rows]
            for k, column in enumerate(transpose(rows)):
                value = column
                if not conversion.narrows and self.op.convert != COPY:
                    value = conversion.apply(settled(column, self.op.dtype, n), n)
                vector.store(self.y, dst + (along + k) * first.dst + at, value, n)

        for_spans(last.extent, n, emit)


def _num_blocks(extent: int, block: int) -> int:
    return -(-extent // block)


def _moved_back(index: Expr, size: int, extent: int) -> Expr:
    """Start of block ``index``; the last block moves back to stay inside."""
    if isinstance(index, int):
        return min(index * size, extent - size)
    return T.min(index * size, T.int32(extent - size))
