"""Product of two activation matrices: pack one of them, then multiply as convolutions do.

The packed copy is signed; what the shifts and zero points add is known from the sums of the
rows of ``a`` and of the columns of ``b``:
sum (a - za) (b - zb) = sum a b - zb sum a - za sum b + depth za zb.
"""

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.float_isa import float_isa
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.batch_axes import BatchAxes
from octavo.targets.kernels.epilogue import Epilogue, constant_arrays, constant_parameters
from octavo.targets.kernels.float_epilogue import LIMITS, FloatEpilogue
from octavo.targets.kernels.matmul_packing import PackedColumns
from octavo.targets.kernels.parallel import PARALLEL_MACS
from octavo.targets.kernels.register_tile import register_tile
from octavo.targets.kernels.scratch import Scratch
from octavo.targets.kernels.tiling import Tiling, tilings
from octavo.targets.ops.matmul import NO_LIMITS, MatMul
from octavo.targets.padding import COLUMNS, DEPTH, ROWS, Padding, round_up

Arrays = Mapping[str, NDArray[Any]]

MAX_DEPTH = 1 << 14  # every partial sum of the correction stays below 2**31
SHIFT = 128  # between signed and unsigned bytes
SLACK_BYTES = 64  # the last row is read in whole steps


class MatMulGemm:
    """Serves every product of two activations.

    Attributes:
        schedule: Tiles and blocks; None for the model's choice.
    """

    name = "matmul_gemm"

    def __init__(self, schedule: Tiling | None = None) -> None:
        self.schedule = schedule

    def reject(self, op: MatMul, isa: Isa) -> str:
        """Accept any operands whose sums fit."""
        if op.depth > MAX_DEPTH and not op.is_float:
            return f"depth {op.depth}: sums are proved to fit up to {MAX_DEPTH}"
        if op.is_float and op.requantize.residual:
            return "a float product with a residual"
        return ""

    def schedules(self, op: MatMul, isa: Isa) -> list[Tiling]:
        """Tilings worth measuring, the model's choice first."""
        return _Emitter(op, isa, None).tilings

    def with_schedule(self, schedule: Tiling) -> "MatMulGemm":
        """Take this tiling."""
        return MatMulGemm(schedule)

    def variant(self, op: MatMul, isa: Isa) -> str:
        """Name instructions and register tile."""
        emitter = _Emitter(op, isa, self.schedule)
        tile = f"{emitter.tiling.rows}x{emitter.tiling.panel * emitter.isa.lanes}"
        return f"{self.name}.{emitter.isa.name}.{tile}"

    def padding(self, op: MatMul, isa: Isa) -> tuple[Padding, ...]:
        """Columns are rounded up to vectors, the depth to steps, rows to tiles."""
        emitter = _Emitter(op, isa, self.schedule)
        lanes, dot_k = emitter.isa.lanes, emitter.isa.dot_k
        return (
            Padding(ROWS, op.rows, round_up(op.rows, emitter.tiling.rows)),
            Padding(COLUMNS, op.cols, round_up(op.cols, lanes)),
            Padding(DEPTH, op.depth, round_up(op.depth, dot_k)))

    def build(self, op: MatMul, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa, self.schedule).build()

    def constants(self, op: MatMul, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Shift the zero points with their operands; one multiplier for each column."""
        if op.is_float:
            return [arrays.get("limits", NO_LIMITS).astype(np.float32)]
        wide = dict(arrays)
        for name in ("multiplier", "significand", "shift", "residual_significand"):
            if name in wide:
                wide[name] = np.broadcast_to(wide[name].reshape(-1), (op.cols,))
        zero_points = arrays["zero_points"].astype(np.int32) + np.array(
            _Emitter(op, isa, self.schedule).shifts, np.int32)
        return [zero_points, *constant_arrays(op.requantize, op.cols, wide).values()]

    def scratch_bytes(self, op: MatMul, isa: Isa) -> int:
        """Memory of the packed matrix, the correction terms and the shifted ``a``."""
        return _Emitter(op, isa, self.schedule).scratch.num_bytes


class _Emitter:
    """Emits one product."""

    def __init__(self, op: MatMul, isa: Isa, schedule: Tiling | None) -> None:
        self.op = op
        self.schedule = schedule
        lowest = np.iinfo(np.int8).min  # of an activation
        self.isa = float_isa(isa) if op.is_float else isa.for_weights(lowest)
        self.packing = PackedColumns(op, self.isa)
        self.shifts_a = not op.is_float and op.a_dtype != self.isa.activation_dtype

    @property
    def shifts(self) -> tuple[int, int]:
        """What is added to the elements of a and b before they are multiplied."""
        a = SHIFT if self.op.a_dtype == "int8" else -SHIFT
        return (a if self.shifts_a else 0), (-SHIFT if self.op.b_dtype == "uint8" else 0)

    @cached_property
    def tiling(self) -> Tiling:
        return self.schedule or self.tilings[0]

    @cached_property
    def tilings(self) -> list[Tiling]:
        return tilings(
            isa=self.isa,
            rows=self.op.rows,
            vectors=self.packing.vectors,
            steps=self.packing.steps,
            row_bytes=self.op.depth * (4 if self.op.is_float else 1),
            groups=self.op.batch_size,
        )

    @property
    def padded_cols(self) -> int:
        return self.packing.vectors * self.isa.lanes

    @property
    def shifted_stride(self) -> int:
        """Elements from one row of the shifted copy to the next."""
        return self.packing.steps * self.isa.dot_k

    @cached_property
    def scratch(self) -> Scratch:
        """The packed matrix, the correction terms and the shifted ``a``."""
        op, items, matrices = self.op, self.op.batch_size, self.b_axes.num_distinct
        parts = [("packed", matrices * self.packing.batch_elements, self.packing.dtype)]
        if not op.is_float:
            parts.append(("col_terms", matrices * self.padded_cols, "int32"))
            parts.append(("row_terms", items * op.rows, "int32"))
        if self.shifts_a:
            elements = items * op.rows * self.shifted_stride + SLACK_BYTES
            parts.append(("shifted", elements, self.isa.activation_dtype))
        return Scratch(tuple(parts))

    def build(self) -> Any:
        op = self.op
        parameters = [("a", op.a_elements, op.a_dtype), ("b", op.b_elements, op.b_dtype)]
        if op.is_float:
            parameters.append(LIMITS)
        else:
            if op.requantize.residual:
                parameters.append(("residual", op.y_elements, op.requantize.residual))
            parameters.append(("zero_points", 2, "int32"))
            parameters += constant_parameters(op.requantize, op.cols)
        parameters.append(("y", op.y_elements, op.out_dtype))
        parameters.append(("scratch", self.scratch.num_bytes, "uint8"))
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def _batch_offset(self, item: Expr, strides: tuple[int, ...]) -> Expr:
        """Element offset of a batch item, by strides that end with those of the matrix."""
        return self._axes(strides).offset(item)

    def _axes(self, strides: tuple[int, ...]) -> BatchAxes:
        return BatchAxes(self.op.batch, strides[: len(self.op.batch)])

    @cached_property
    def b_axes(self) -> BatchAxes:
        """Batch of ``b``: a matrix that several items multiply with is packed once."""
        return self._axes(self.op.b_strides)

    def _body(self, operands: dict[str, Any]) -> None:
        operands |= self.scratch.views(operands["scratch"])
        self._pack(operands)
        if not self.op.is_float:
            self._sum_rows(operands)
        self._multiply(operands)

    def _pack(self, operands: dict[str, Any]) -> None:
        """Pack ``b``; sum its columns."""
        op, isa, packing = self.op, self.isa, self.packing
        packed = operands["packed"]
        tasks = self.b_axes.num_distinct * packing.vectors
        with vector.loop(tasks, op.macs >= PARALLEL_MACS) as task:
            matrix, index = task // packing.vectors, task % packing.vectors
            b_at = vector.bind(self.b_axes.distinct_offset(matrix) + op.b_offset)
            at, stride = self._packed_at(matrix, index)
            packing.emit(operands["b"], b_at, index * isa.lanes, packed, at, stride)
            if op.is_float:
                return
            ones = vector.local(isa.dot_k, isa.activation_dtype)
            for k in range(isa.dot_k):
                vector.store(ones, k, vector.cast(T.int32(1), isa.activation_dtype, 1))
            sums = register_tile(isa, 1, 1)
            sums.start(0, 0, vector.splat(T.int32(0), isa.lanes))
            with vector.loop(packing.steps) as step:
                sums.step(ones, [0], packed, at + step * stride)
            za, zb = (vector.load(operands["zero_points"], i) for i in range(2))
            # depth za zb - za sum b
            terms = (vector.splat(zb * op.depth, isa.lanes) - sums.row(0)[0]) * vector.splat(
                za, isa.lanes)
            vector.store(operands["col_terms"], task * isa.lanes, terms, isa.lanes)

    def _packed_at(self, matrix: Expr, index: Expr) -> tuple[Expr, Expr]:
        """First packed element of a vector of columns, and elements from step to step.

        Panels of vectors are packed step by step, the last panel may be narrower.
        """
        packing, panel = self.packing, self.tiling.panel
        first = index // panel * panel
        width = T.min(T.int32(panel), T.int32(packing.vectors) - first)
        step = packing.step_elements
        at = matrix * packing.batch_elements + (first * packing.steps + (index - first)) * step
        return vector.bind(at), vector.bind(width * step)

    def _sum_rows(self, operands: dict[str, Any]) -> None:
        """Compute -zb sum a of every row; copy the shifted row where ``a`` must move."""
        op, isa = self.op, self.isa
        zb = vector.bind(vector.load(operands["zero_points"], 1))
        shift = self.shifts[0]
        with vector.loop(op.batch_size * op.rows, op.macs >= PARALLEL_MACS) as task:
            item, row = task // op.rows, task % op.rows
            first = self._batch_offset(item, op.a_strides) + op.a_offset
            a_at = vector.bind(first + row * op.a_strides[-1])
            total = vector.local(1, "int32")
            vector.store(total, 0, T.int32(shift * op.depth))
            sums = vector.local(isa.lanes, "int32")
            vector.store(sums, 0, vector.splat(T.int32(0), isa.lanes), isa.lanes)

            def take(at: Expr, lanes: int, a_at: Expr = a_at, task: Expr = task,
                     sums: Any = sums, total: Any = total) -> None:
                value = vector.bind(vector.load(operands["a"], a_at + at, lanes))
                wide = vector.cast(value, "int32", lanes)
                if lanes == isa.lanes:
                    vector.store(sums, 0, vector.load(sums, 0, lanes) + wide, lanes)
                else:
                    vector.store(total, 0, vector.load(total, 0) + wide)
                if shift:
                    moved = wide + vector.splat(T.int32(shift), lanes)
                    moved = vector.cast(moved, isa.activation_dtype, lanes)
                    vector.store(
                        operands["shifted"], task * self.shifted_stride + at, moved, lanes)

            full, rest = divmod(op.depth, isa.lanes)
            if full:
                with vector.loop(full) as index:
                    take(index * isa.lanes, isa.lanes)
            if rest:
                with vector.loop(rest) as index:
                    take(full * isa.lanes + index, 1)
            for lane in range(isa.lanes):
                vector.store(total, 0, vector.load(total, 0) + vector.load(sums, lane))
            vector.store(operands["row_terms"], task, T.int32(0) - vector.load(total, 0) * zb)

    def _multiply(self, operands: dict[str, Any]) -> None:
        op, isa, tiling, packing = self.op, self.isa, self.tiling, self.packing
        finish: Epilogue | FloatEpilogue
        if op.is_float:
            finish = FloatEpilogue(False, operands)
        else:
            finish = Epilogue(op.requantize, isa, operands)
        panels = -(-packing.vectors // tiling.panel)
        last = packing.vectors - (panels - 1) * tiling.panel
        is_whole = last == tiling.panel and op.cols % isa.lanes == 0
        tasks = op.batch_size * tiling.blocks * panels
        with vector.loop(tasks, op.macs >= PARALLEL_MACS) as task:
            item, panel = task // (tiling.blocks * panels), task % panels
            block = task // panels % tiling.blocks
            with vector.loop(tiling.block_tiles) as index:
                # The last tile moves back over its neighbour, so that all tiles are whole.
                tile = T.int32(0) + block * tiling.block_tiles + index
                row = vector.bind(T.min(tile * tiling.rows, T.int32(op.rows - tiling.rows)))
                emit = partial(self._tile, operands, finish, item, row)
                full_columns = tiling.panel * isa.lanes
                columns = op.cols - (panels - 1) * full_columns
                if is_whole:
                    emit(panel, tiling.panel, full_columns)
                elif panels == 1:
                    emit(0, last, columns)
                else:
                    with T.If(panel < panels - 1):
                        with T.Then():
                            emit(panel, tiling.panel, full_columns)
                        with T.Else():
                            emit(panels - 1, last, columns)

    def _tile(
        self, operands: dict[str, Any], finish: Epilogue | FloatEpilogue,
        item: Expr, row: Expr, panel: Expr, vectors: int, columns: int,
    ) -> None:
        op, isa, packing, rows = self.op, self.isa, self.packing, self.tiling.rows
        lanes = isa.lanes
        first_vector = panel * self.tiling.panel
        if self.shifts_a:
            source = operands["shifted"]
            a_at = (item * op.rows + row) * self.shifted_stride
            a_stride = self.shifted_stride
        else:
            source, a_stride = operands["a"], op.a_strides[-1]
            a_at = self._batch_offset(item, op.a_strides) + op.a_offset + row * a_stride
        a_at = vector.bind(a_at)
        matrix = vector.bind(self.b_axes.distinct(item))
        tile = register_tile(isa, rows, vectors)
        self._start(
            tile, operands, item * op.rows + row, matrix * packing.vectors + first_vector)
        weights_at = vector.bind(
            matrix * packing.batch_elements
            + first_vector * packing.steps * packing.step_elements)
        offsets = [a_at + r * a_stride for r in range(rows)]
        tile.run(source, offsets, operands["packed"], weights_at, packing.steps)
        y_at = vector.bind(
            self._batch_offset(item, op.y_strides) + op.y_offset + row * op.y_strides[-1])
        for r in range(rows):
            out = y_at + r * op.y_strides[-1] + first_vector * lanes
            finish.emit_vectors(tile.row(r), first_vector * lanes, out, columns)

    def _start(self, tile: Any, operands: dict[str, Any], row: Expr, first: Expr) -> None:
        """Start from the correction terms."""
        lanes = self.isa.lanes
        for v in range(tile.vectors):
            if self.op.is_float:
                value = vector.splat(T.float32(0), lanes)
            else:
                value = vector.bind(
                    vector.load(operands["col_terms"], (first + v) * lanes, lanes))
            for r in range(tile.rows):
                moved = value
                if not self.op.is_float:
                    term = vector.load(operands["row_terms"], row + r)
                    moved = value + vector.splat(term, lanes)
                tile.start(r, v, moved)
