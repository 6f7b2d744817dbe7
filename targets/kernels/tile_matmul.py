"""Product of two activation matrices on a matrix unit: pack one of them, multiply tiles.

Tiles multiply either sign, so ``a`` stays where it is. Zero points are corrected by the sums
of the rows of ``a`` and of the columns of ``b``, as in ``octavo.targets.kernels.matmul``.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.epilogue import Epilogue, constant_arrays, constant_parameters
from octavo.targets.kernels.matmul import MAX_DEPTH, SHIFT
from octavo.targets.kernels.matmul_packing import PackedColumns
from octavo.targets.kernels.parallel import PARALLEL_MACS
from octavo.targets.kernels.scratch import Scratch
from octavo.targets.kernels.tile_block import TileBlock, for_panel, tile_tasks
from octavo.targets.kernels.tile_cost import (
    SLOWER,
    TileTasks,
    register_cycles,
    sharings,
    tile_cycles,
)
from octavo.targets.kernels.tile_layout import PANEL, TileLayout, even_rows
from octavo.targets.ops.matmul import MatMul
from octavo.targets.padding import COLUMNS, DEPTH, ROWS, Padding

Arrays = Mapping[str, NDArray[Any]]


class TileMatMul:
    """Serves integer products of two activations that are large enough.

    Attributes:
        schedule: Tasks; None for the model's choice.
    """

    name = "tile_matmul"

    def __init__(self, schedule: TileTasks | None = None) -> None:
        self.schedule = schedule

    def reject(self, op: MatMul, isa: Isa) -> str:
        """Refuse what tiles cannot compute, or would not compute faster."""
        if isa.tiles is None:
            return f"{isa.name} has no tiles"
        if op.is_float:
            return "float operands; tiles hold bytes"
        if op.depth > MAX_DEPTH:
            return f"depth {op.depth}: sums are proved to fit up to {MAX_DEPTH}"
        if not _Emitter(op, isa, None).is_worthwhile:
            return SLOWER
        return ""

    def schedules(self, op: MatMul, isa: Isa) -> list[TileTasks]:
        """Tasks worth measuring, the model's choice first."""
        return [] if isa.tiles is None else _Emitter(op, isa, None).schedules

    def with_schedule(self, schedule: TileTasks) -> Self:
        """Take these tasks."""
        return type(self)(schedule)

    def layouts(self, op: MatMul, isa: Isa) -> list[tuple[TileLayout, int]]:
        """The tiles of one product, and how many there are."""
        return [(_Emitter(op, isa, self.schedule).layout, op.batch_size)]

    def variant(self, op: MatMul, isa: Isa) -> str:
        """Name the unit and the block of tiles."""
        return f"{self.name}.{_Emitter(op, isa, self.schedule).layout.name}"

    def padding(self, op: MatMul, isa: Isa) -> tuple[Padding, ...]:
        """Rows, columns and depth are rounded up to tiles."""
        layout = _Emitter(op, isa, self.schedule).layout
        return layout.padding(op.rows, (ROWS, COLUMNS, DEPTH))

    def build(self, op: MatMul, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa, self.schedule).build()

    def constants(self, op: MatMul, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Shift the zero point with ``b``; one multiplier for each column."""
        wide = dict(arrays)
        for name in ("multiplier", "significand", "shift", "residual_significand"):
            if name in wide:
                wide[name] = np.broadcast_to(wide[name].reshape(-1), (op.cols,))
        emitter = _Emitter(op, isa, self.schedule)
        zero_points = arrays["zero_points"].astype(np.int32).reshape(-1) - np.array(
            [0, emitter.shift], np.int32)
        epilogue = constant_arrays(op.requantize, op.cols, wide).values()
        return [zero_points, emitter.layout.shapes, *epilogue]

    def scratch_bytes(self, op: MatMul, isa: Isa) -> int:
        """Memory of the packed matrix and the correction terms."""
        return _Emitter(op, isa, self.schedule).scratch.num_bytes


class _Emitter:
    """Emits one product."""

    def __init__(self, op: MatMul, isa: Isa, schedule: TileTasks | None) -> None:
        if isa.tiles is None:
            raise ValueError(f"{isa.name} has no tiles")
        self.op = op
        self.isa = isa
        self.unit = isa.tiles
        self.schedule = schedule
        self.packing = PackedColumns(op, isa)
        # A matrix that is the same for the whole batch is packed once.
        self.packed_items = op.batch_size if any(op.b_strides[:-2]) else 1

    @property
    def shift(self) -> int:
        """What is taken from the elements of ``b`` before they are multiplied."""
        return SHIFT if self.op.b_dtype == "uint8" else 0

    @cached_property
    def layout(self) -> TileLayout:
        op = self.op
        return TileLayout(self.unit, *even_rows(op.rows, self.unit), op.cols, op.depth)

    @property
    def schedules(self) -> list[TileTasks]:
        return sharings(self.layout, self.op.depth, self.op.batch_size)

    @property
    def is_worthwhile(self) -> bool:
        op = self.op
        return tile_cycles(self.layout) < register_cycles(
            self.isa, op.rows, op.cols, op.depth)

    @cached_property
    def scratch(self) -> Scratch:
        """The packed matrix and the correction terms."""
        op, layout = self.op, self.layout
        vectors = self.packed_items * layout.vectors
        return Scratch((
            ("packed", vectors * layout.vector_bytes, "int8"),
            ("col_terms", vectors * self.unit.lanes, "int32"),
            ("row_terms", op.batch_size * op.rows, "int32"),
        ))

    def build(self) -> Any:
        op = self.op
        parameters = [("a", op.a_elements, op.a_dtype), ("b", op.b_elements, op.b_dtype)]
        if op.requantize.residual:
            parameters.append(("residual", op.y_elements, op.requantize.residual))
        parameters += [
            ("zero_points", 2, "int32"),
            ("shapes", self.layout.shapes.size, "uint8"),
            *constant_parameters(op.requantize, op.cols),
            ("y", op.y_elements, op.out_dtype),
            ("scratch", self.scratch.num_bytes, "uint8"),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def _body(self, operands: dict[str, Any]) -> None:
        operands |= self.scratch.views(operands["scratch"])
        self._pack(operands)
        self._sum_rows(operands)
        self._multiply(operands)

    def _batch_offset(self, item: Expr, strides: tuple[int, ...]) -> Expr:
        """Element offset of a batch item, of the flattened batch dimensions."""
        offset: Expr = T.int32(0)
        inner = self.op.batch_size
        for extent, stride in zip(self.op.batch, strides, strict=False):
            inner //= extent
            index = item // inner if inner > 1 else item
            offset = offset + index % extent * stride
        return offset

    def _pack(self, operands: dict[str, Any]) -> None:
        """Pack ``b``; compute depth za zb - za sum b of every column."""
        op, isa, layout, packing = self.op, self.isa, self.layout, self.packing
        packed, lanes = operands["packed"], self.unit.lanes
        step_bytes = lanes * self.unit.dot_k
        steps = layout.run_tiles * layout.steps
        with vector.loop(self.packed_items * layout.vectors, op.macs >= PARALLEL_MACS) as task:
            item, index = task // layout.vectors, task % layout.vectors
            b_at = vector.bind(self._batch_offset(item, op.b_strides) + op.b_offset)
            at = vector.bind(T.int32(0) + task * layout.vector_bytes)
            packing.emit(operands["b"], b_at, index * lanes, packed, at, step_bytes)
            if steps > packing.steps:
                missing = (steps - packing.steps) * step_bytes
                vector.fill(packed, at + packing.steps * step_bytes, T.int8(0), missing)
            sums = vector.local(lanes, "int32")
            vector.store(sums, 0, vector.splat(T.int32(0), lanes), lanes)
            ones = vector.splat(T.uint8(1), step_bytes)
            with vector.loop(packing.steps) as step:
                column = isa.load_weights(packed, at + step * step_bytes)
                total = isa.dot(vector.load(sums, 0, lanes), ones, column)
                vector.store(sums, 0, total, lanes)
            za, zb = (vector.load(operands["zero_points"], i) for i in range(2))
            terms = (vector.splat(zb * op.depth, lanes) - vector.load(sums, 0, lanes)
                     ) * vector.splat(za, lanes)
            vector.store(operands["col_terms"], task * lanes, terms, lanes)

    def _sum_rows(self, operands: dict[str, Any]) -> None:
        """Compute -zb sum a of every row."""
        op, lanes = self.op, self.isa.lanes
        zb = vector.bind(vector.load(operands["zero_points"], 1))
        width = lanes * self.isa.dot_k
        with vector.loop(op.batch_size * op.rows, op.macs >= PARALLEL_MACS) as task:
            item, row = task // op.rows, task % op.rows
            first = self._batch_offset(item, op.a_strides) + op.a_offset
            a_at = vector.bind(first + row * op.a_strides[-1])
            sums = vector.local(lanes, "int32")
            vector.store(sums, 0, vector.splat(T.int32(0), lanes), lanes)
            full, rest = divmod(op.depth, width)
            if full:
                with vector.loop(full) as index:
                    at = a_at + index * width
                    self._add_row(sums, vector.load(operands["a"], at, width))
            if rest:
                end = vector.load(operands["a"], a_at + full * width, width)
                is_inside = tirx.Ramp(T.int32(0), 1, width) < vector.splat(
                    T.int32(rest), width)
                zero = vector.splat(vector.cast(T.int32(0), op.a_dtype, 1), width)
                self._add_row(sums, tirx.Select(is_inside, end, zero))
            total = vector.intrinsic(
                "int32", 1, "llvm.vector.reduce.add", vector.load(sums, 0, lanes))
            vector.store(operands["row_terms"], task, T.int32(0) - total * zb)

    def _add_row(self, sums: Any, elements: Expr) -> None:
        """Add groups of ``dot_k`` elements, of either sign, to the lanes."""
        isa = self.isa
        width = isa.lanes * isa.dot_k
        if self.op.a_dtype == "uint8":
            factors = (elements, vector.splat(T.int8(1), width))
        else:
            factors = (vector.splat(T.uint8(1), width), elements)
        total = isa.dot(vector.load(sums, 0, isa.lanes), *factors)
        vector.store(sums, 0, total, isa.lanes)

    def _multiply(self, operands: dict[str, Any]) -> None:
        op, layout = self.op, self.layout
        block = TileBlock(
            layout, operands["a"], operands["packed"], operands["col_terms"],
            (op.a_dtype, "int8"), op.a_strides[-1])
        finish = Epilogue(op.requantize, self.isa, operands)
        share = self.schedule or self.schedules[0]
        tasks = op.batch_size * share.num_tasks
        is_parallel = op.macs >= PARALLEL_MACS
        with tile_tasks(self.unit, operands["shapes"], tasks, is_parallel) as task:
            item, panel = task // share.num_tasks, task % layout.panels
            part = task // layout.panels % share.parts
            with share.blocks_of(part, layout) as index:
                for_panel(layout, panel, partial(
                    self._block, operands, block, finish, item, index))

    def _block(
        self, operands: dict[str, Any], block: TileBlock, finish: Epilogue, item: Expr,
        index: Expr, panel: Expr, vectors: int, columns: int,
    ) -> None:
        """Multiply and finish one block of rows and one panel of columns."""
        op, layout, lanes = self.op, self.layout, self.unit.lanes
        # The last tiles move back over their neighbours, so that all are whole.
        tile = T.min(
            T.int32(0) + index * layout.row_tiles,
            T.int32(layout.num_tiles - layout.row_tiles))
        firsts = [
            vector.bind(T.min(
                (tile + i) * layout.tile_rows, T.int32(op.rows - layout.tile_rows)))
            for i in range(layout.row_tiles)
        ]
        a_at = vector.bind(self._batch_offset(item, op.a_strides) + op.a_offset)
        y_at = vector.bind(self._batch_offset(item, op.y_strides) + op.y_offset)
        bases = [vector.bind(a_at + first * op.a_strides[-1]) for first in firsts]
        first_vector = panel * PANEL
        if self.packed_items > 1:
            first_vector = vector.bind(item * layout.vectors + first_vector)
        sums = block.emit(bases, first_vector, first_vector * lanes, vectors, self._reduction)
        for i, first in enumerate(firsts):
            with vector.loop(layout.tile_rows) as r:
                row = first + r
                term = vector.load(operands["row_terms"], item * op.rows + row)
                term = vector.splat(vector.bind(term), lanes)
                accs = [acc + term for acc in sums.row(i * layout.tile_rows + r)]
                column = panel * (PANEL * lanes)
                out = vector.bind(y_at + row * op.y_strides[-1] + column)
                finish.emit_vectors(accs, column, out, columns)

    @contextmanager
    def _reduction(self) -> Iterator[tuple[Expr, Expr]]:
        """Loop over parts of the depth."""
        layout = self.layout
        with vector.loop(layout.run_tiles) as part:
            yield part * (layout.steps * self.unit.dot_k), part
