"""Attention whose two products run on a matrix unit; the weights in between are vectors.

Both products use the same shapes of tiles, so a task sets them up once.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.attention import (
    ZERO_POINT_V,
    AttentionEmitter,
    AttentionRows,
)
from octavo.targets.kernels.attention_output import RatioOutput
from octavo.targets.kernels.attention_tiles import MIN_TASKS, AttentionTiles, even_panels
from octavo.targets.kernels.batch_axes import BatchAxes
from octavo.targets.kernels.matmul_packing import PackedColumns
from octavo.targets.kernels.scratch import Scratch
from octavo.targets.kernels.tile_block import TileBlock, for_panel, tile_tasks
from octavo.targets.kernels.tile_cost import SLOWER, block_cycles, register_cycles
from octavo.targets.kernels.tile_layout import PANEL, TileLayout
from octavo.targets.ops.attention import MAX_COLUMNS, MAX_DEPTH, Attention

Arrays = Mapping[str, NDArray[Any]]

SHAPES_AT = 2  # place of the shapes among the constants, behind zero points and step


class TileAttention:
    """Serves attention that is large enough, with queries of either sign."""

    name = "tile_attention"

    def reject(self, op: Attention, isa: Isa) -> str:
        """Refuse what tiles cannot compute, or would not compute faster."""
        if isa.tiles is None:
            return f"{isa.name} has no tiles"
        if op.depth > MAX_DEPTH or op.columns > MAX_COLUMNS:
            return f"depth {op.depth} and {op.columns} keys: sums are proved to fit up to" \
                f" {MAX_DEPTH} and {MAX_COLUMNS}"
        if op.q_dtype == isa.activation_dtype and not _Emitter(op, isa).is_worthwhile:
            return SLOWER
        return ""

    def layouts(self, op: Attention, isa: Isa) -> list[tuple[TileLayout, int]]:
        """The tiles of a block of rows in both products, and how many blocks there are."""
        emitter = _Emitter(op, isa)
        blocks = emitter.tasks * emitter.tiles.block_tiles
        return [(emitter.scores, blocks), (emitter.mixture, blocks)]

    def variant(self, op: Attention, isa: Isa) -> str:
        """Name the unit and the block of tiles."""
        return f"{self.name}.{_Emitter(op, isa).scores.name}"

    def build(self, op: Attention, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa).build()

    def constants(self, op: Attention, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Those of the vector kernel, and the shapes of tiles."""
        constants = AttentionRows().constants(op, isa, arrays)
        return [*constants[:SHAPES_AT], _Emitter(op, isa).shapes, *constants[SHAPES_AT:]]

    def scratch_bytes(self, op: Attention, isa: Isa) -> int:
        """Memory of the packed operands, and of scores and weights of every task's rows."""
        return _Emitter(op, isa).scratch.num_bytes


class _Emitter(AttentionEmitter):
    """Emits one attention."""

    def __init__(self, op: Attention, isa: Isa) -> None:
        super().__init__(op, isa)
        if isa.tiles is None:
            raise ValueError(f"{isa.name} has no tiles")
        self.unit = isa.tiles
        most = self.unit.max_rows
        self.tile_rows, self.row_tiles = op.rows, 1
        if op.rows > most:
            # Two tiles of the same rows, which are never more than there are.
            blocks = -(-op.rows // (2 * most))
            self.tile_rows, self.row_tiles = min(-(-op.rows // (2 * blocks)), op.rows // 2), 2
        rows = self.tile_rows * self.row_tiles
        tiles = -(-op.rows // rows)
        block_tiles = -(-tiles // min(tiles, -(-MIN_TASKS // op.batch_size)))
        self.tiles = AttentionTiles(
            rows, even_panels(self.keys.vectors, PANEL),
            even_panels(self.values.vectors, PANEL), block_tiles, -(-tiles // block_tiles))
        self.tasks = op.batch_size * self.tiles.blocks
        self.scores = self._layout(op.columns, op.depth)
        self.mixture = self._layout(op.width, op.columns)

    def _layout(self, cols: int, run: int) -> TileLayout:
        return TileLayout(
            self.unit, self.tile_rows, self.row_tiles, cols, run,
            least_steps=self.unit.max_steps)

    @property
    def shapes(self) -> NDArray[np.uint8]:
        """Of both products."""
        return self.scores.shapes

    @property
    def is_worthwhile(self) -> bool:
        op, isa = self.op, self.isa
        blocks = self.tiles.blocks * self.tiles.block_tiles
        on_tiles = self.unit.setup_cycles * self.tiles.blocks + blocks * (
            block_cycles(self.scores) + block_cycles(self.mixture))
        return on_tiles < register_cycles(isa, op.rows, op.columns, op.depth) + (
            register_cycles(isa, op.rows, op.width, op.columns))

    @cached_property
    def scratch(self) -> Scratch:
        rows = self.tasks * self.tiles.rows
        heads = self.key_axes.num_distinct
        values = self.value_axes.num_distinct
        return Scratch((
            ("packed_k", heads * self.scores.vectors * self.scores.vector_bytes, "int8"),
            ("key_terms", heads * self.padded, "int32"),
            ("packed_v", values * self.mixture.vectors * self.mixture.vector_bytes, "int8"),
            ("starts", self.tasks * self.padded, "int32"),
            ("scores", rows * self.padded, "int32"),
            ("weights", rows * self.row_bytes, "uint8"),
        ))

    def own_parameters(self) -> list[tuple[str, int, str]]:
        """The shapes of tiles."""
        return [("shapes", self.shapes.size, "uint8")]

    def _run_tasks(self, operands: dict[str, Any]) -> None:
        shapes = operands["shapes"]
        with tile_tasks(self.unit, shapes, self.tasks, self.is_parallel) as task:
            self._task(operands, T.int32(0) + task)

    # -- packing -----------------------------------------------------------------------------

    def _pack_keys(self, operands: dict[str, Any], task: Expr) -> None:
        super()._pack_keys(operands, task)
        self._fill(operands["packed_k"], self.keys, self.scores, task)

    def _pack_values(self, operands: dict[str, Any], task: Expr) -> None:
        super()._pack_values(operands, task)
        self._fill(operands["packed_v"], self.values, self.mixture, task)

    def _packed_at(
        self, packing: PackedColumns, groups: tuple[tuple[int, int, int], ...],
        item: Expr, index: Expr,
    ) -> tuple[Expr, Expr]:
        """Every vector of columns on its own."""
        del groups
        layout = self.scores if packing is self.keys else self.mixture
        at = (item * layout.vectors + index) * layout.vector_bytes
        return vector.bind(at), T.int32(packing.step_elements)

    def _fill(
        self, packed: Any, packing: PackedColumns, layout: TileLayout, task: Expr
    ) -> None:
        """Put zeros behind the last step."""
        missing = layout.run_tiles * layout.steps - packing.steps
        if missing:
            at = task * layout.vector_bytes + packing.steps * packing.step_elements
            vector.fill(packed, at, T.int8(0), missing * packing.step_elements)

    # -- rows --------------------------------------------------------------------------------

    def _scores(self, operands: dict[str, Any], task: Expr, item: Expr, row: Expr) -> None:
        op, layout = self.op, self.scores
        axes = BatchAxes(op.batch, op.q_strides[:-1])
        stride = op.q_strides[-1]
        q_at = vector.bind(axes.offset(item) + op.q_offset + row * stride)
        block = TileBlock(
            layout, operands["q"], operands["packed_k"], operands["starts"],
            (op.q_dtype, "int8"), stride)
        bases = [q_at + i * self.tile_rows * stride for i in range(self.row_tiles)]
        head = vector.bind(self.key_axes.distinct(item) * layout.vectors)

        def emit(panel: Expr, vectors: int, columns: int) -> None:
            del columns  # the others start from scores that no weight comes from
            column = panel * (PANEL * self.unit.lanes)
            at = task * (self.tiles.rows * self.padded) + column
            block.emit_into(
                operands["scores"], at, self.padded, bases, head + panel * PANEL,
                task * self.padded + column, vectors, partial(_reduction, layout))

        with vector.loop(layout.panels) as panel:
            for_panel(layout, panel, emit)

    def _mix(
        self, operands: dict[str, Any], task: Expr, item: Expr, row: Expr, totals: Any
    ) -> None:
        op, layout, lanes = self.op, self.mixture, self.unit.lanes
        output = RatioOutput(op, self.isa, operands)
        zero_point = vector.bind(vector.load(operands["zero_points"], ZERO_POINT_V))
        axes = BatchAxes(op.batch, op.y_strides[:-1])
        y_at = vector.bind(axes.offset(item) + row * op.y_strides[-1])
        block = TileBlock(
            layout, operands["weights"], operands["packed_v"], None, ("uint8", "int8"),
            self.row_bytes)
        first = task * self.tiles.rows
        bases = [
            (first + i * self.tile_rows) * self.row_bytes for i in range(self.row_tiles)]
        head = vector.bind(self.value_axes.distinct(item) * layout.vectors)

        def emit(panel: Expr, vectors: int, columns: int) -> None:
            sums = block.emit(
                bases, head + panel * PANEL, 0, vectors, partial(_reduction, layout))
            with vector.loop(self.tiles.rows) as r:
                total = vector.bind(vector.load(totals, r))
                correction = vector.splat(vector.bind(total * zero_point), lanes)
                accs = [acc - correction for acc in sums.row(r)]
                at = y_at + r * op.y_strides[-1] + panel * (PANEL * lanes)
                output.emit(accs, output.ratio(total), at, columns)

        with vector.loop(layout.panels) as panel:
            for_panel(layout, panel, emit)


@contextmanager
def _reduction(layout: TileLayout) -> Iterator[tuple[Expr, Expr]]:
    """Loop over parts of the only tap."""
    with vector.loop(layout.run_tiles) as part:
        yield part * (layout.steps * layout.unit.dot_k), part
