"""Emit the product of a block of rows and a panel of columns, up to int32 sums in memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.kernels.tile_layout import PANEL, TileLayout
from octavo.targets.tile_unit import TileUnit

SUM_BYTES = 4
# Loops over the reduction; gives the offset from a row's first element, and the number of the
# tile of columns.
Reduction = Callable[[], AbstractContextManager[tuple[Expr, Expr]]]


@dataclass(frozen=True)
class TileBlock:
    """Rows times columns of one block.

    The sums go through memory, because nothing else leads from a tile to a vector register:
    at most 8 KiB, which stay in the first-level cache.

    Attributes:
        layout: The tiles.
        rows: Buffer of activations, one byte each.
        columns: Buffer of packed columns.
        start: Buffer of int32 that sums start from, one for each column, padded columns too;
            None for zeros.
        dtypes: Types of the elements of rows and columns.
        stride_bytes: Bytes from one row of a tile to the next.
    """

    layout: TileLayout
    rows: Any
    columns: Any
    start: Any
    dtypes: tuple[str, str]
    stride_bytes: int

    def emit(
        self, bases: Sequence[Expr], vector_index: Expr, start_at: Expr, vectors: int,
        reduction: Reduction,
    ) -> "TileSums":
        """Multiply.

        Args:
            bases: First element of each tile of rows.
            vector_index: First tile of columns, among the packed ones.
            start_at: Where in ``start`` its columns begin.
            vectors: Tiles of columns, up to a panel.
            reduction: Loops over the reduction.
        """
        width = vectors * self.layout.unit.lanes
        sums = vector.local(self.layout.block_rows * width, "int32")
        self.emit_into(sums, 0, width, bases, vector_index, start_at, vectors, reduction)
        return TileSums(sums, vectors, self.layout.unit.lanes)

    def emit_into(
        self, target: Any, target_at: Expr, target_width: int, bases: Sequence[Expr],
        vector_index: Expr, start_at: Expr, vectors: int, reduction: Reduction,
    ) -> None:
        """Multiply, as ``emit``, into a part of a larger int32 matrix.

        ``target_at`` is where the first sum goes, ``target_width`` the elements of a row.
        """
        layout, unit = self.layout, self.layout.unit
        for first, count in layout.passes(vectors):
            for column in range(count):
                at = start_at + (first + column) * unit.lanes
                for row in range(layout.row_tiles):
                    if self.start is None:
                        unit.zero(layout.sums(row, column))
                    else:
                        unit.load(layout.sums(row, column), self.start, at, 0)
            with reduction() as (offset, tile):
                columns_at = [
                    (vector_index + first + column) * layout.vector_bytes
                    + tile * layout.tile_bytes
                    for column in range(count)
                ]
                self._step([base + offset for base in bases], columns_at)
            for row in range(layout.row_tiles):
                for column in range(count):
                    at = row * layout.tile_rows * target_width
                    at = target_at + at + (first + column) * unit.lanes
                    unit.store(
                        layout.sums(row, column), target, at, target_width * SUM_BYTES)

    def _step(self, rows_at: Sequence[Expr], columns_at: Sequence[Expr]) -> None:
        """Load tiles, and multiply each pair."""
        layout, unit = self.layout, self.layout.unit
        column_bytes = unit.lanes * unit.dot_k
        for column, at in enumerate(columns_at):
            unit.load(layout.columns_register(column), self.columns, at, column_bytes)
            for row, row_at in enumerate(rows_at):
                if column == 0:
                    unit.load(layout.rows_register(row), self.rows, row_at, self.stride_bytes)
                unit.multiply(
                    layout.sums(row, column), layout.rows_register(row),
                    layout.columns_register(column), *self.dtypes)


@dataclass(frozen=True)
class TileSums:
    """Sums of one block in memory, [row][column].

    Attributes:
        buffer: int32.
        vectors: Tiles of columns.
        lanes: Columns of a tile.
    """

    buffer: Any
    vectors: int
    lanes: int

    def row(self, index: Expr) -> list[Expr]:
        """Vectors of one row."""
        at = index * (self.vectors * self.lanes)
        return [
            vector.load(self.buffer, at + v * self.lanes, self.lanes)
            for v in range(self.vectors)
        ]


def for_panel(
    layout: TileLayout, panel: Expr, emit: Callable[[Expr, int, int], None]
) -> None:
    """Emit the code of a panel of columns: the last one may be narrower.

    Args:
        layout: The tiles.
        panel: Number of the panel.
        emit: Given the panel, its tiles of columns, and the columns that exist.
    """
    whole = PANEL * layout.unit.lanes
    last = layout.panels - 1
    rest = layout.cols - last * whole
    if rest == whole:
        emit(panel, PANEL, whole)
    elif last == 0:
        emit(0, layout.vectors, rest)
    else:
        with T.If(panel < last):
            with T.Then():
                emit(panel, PANEL, whole)
            with T.Else():
                emit(last, layout.vectors - last * PANEL, rest)


@contextmanager
def tile_tasks(
    unit: TileUnit, shapes: Any, tasks: int, is_parallel: bool
) -> Iterator[Expr]:
    """Loop over tasks with tiles that are set up: in each task, or once where one thread runs.

    Shapes belong to a thread, and the tasks of a parallel loop run on any.
    """
    if is_parallel and tasks > 1:
        with vector.loop(tasks, parallel=True) as task:
            unit.configure(shapes)
            yield task
            unit.release()
        return
    unit.configure(shapes)
    with vector.loop(tasks) as task:
        yield task
    unit.release()
