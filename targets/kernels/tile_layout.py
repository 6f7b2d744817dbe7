"""How a matrix product is cut into tiles, and which register holds what.

Two tiles of rows meet two tiles of columns: four products for four loads. Where there is only
one tile of rows, it meets up to four tiles of columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.padding import Padding
from octavo.targets.tile_unit import TileShape, TileUnit

NUM_SUMS = 4  # registers of sums; the others hold rows and columns
PANEL = 4  # tiles of columns that are finished together: 64 bytes of output


@dataclass(frozen=True)
class TileLayout:
    """Tiles of one product; rows that remain share a smaller shape, columns are padded.

    Attributes:
        unit: The matrix unit.
        tile_rows: Rows of a tile, 1 to ``unit.max_rows``.
        num_tiles: Tiles of rows.
        cols: Columns.
        run: Contiguous bytes of a row that one tap reads.
        taps: Taps.
        least_steps: Steps of a product of tiles, at least; products with the same number share
            the shapes of their registers.
    """

    unit: TileUnit
    tile_rows: int
    num_tiles: int
    cols: int
    run: int
    taps: int = 1
    least_steps: int = 1

    @property
    def name(self) -> str:
        """The unit and the block of tiles, for listings."""
        return f"{self.unit.name}.{self.block_rows}x{self.pass_vectors * self.unit.lanes}"

    @property
    def row_tiles(self) -> int:
        """Tiles of rows that are multiplied at once."""
        return min(self.num_tiles, 2)

    @property
    def blocks(self) -> int:
        """Groups of ``row_tiles``; the last may repeat a tile."""
        return -(-self.num_tiles // self.row_tiles)

    @property
    def block_rows(self) -> int:
        """Rows of a group."""
        return self.row_tiles * self.tile_rows

    @property
    def vectors(self) -> int:
        """Tiles of columns; the last may be padded."""
        return -(-self.cols // self.unit.lanes)

    @property
    def pass_vectors(self) -> int:
        """Tiles of columns that are multiplied at once."""
        return NUM_SUMS // self.row_tiles

    @property
    def panels(self) -> int:
        """Groups of up to ``PANEL`` tiles of columns."""
        return -(-self.vectors // PANEL)

    @property
    def run_tiles(self) -> int:
        """Products of tiles along one tap."""
        return -(-self.run // (self.unit.max_steps * self.unit.dot_k))

    @property
    def steps(self) -> int:
        """Steps of each of them, so that padding is shortest."""
        return max(self.least_steps, -(-self.run // (self.unit.dot_k * self.run_tiles)))

    @property
    def tap_bytes(self) -> int:
        """Bytes of a row that one tap multiplies; those behind ``run`` with zeros."""
        return self.run_tiles * self.steps * self.unit.dot_k

    @property
    def reduction_tiles(self) -> int:
        """Products of tiles along the whole reduction."""
        return self.taps * self.run_tiles

    def padding(self, rows: int, axes: tuple[str, str, str]) -> tuple[Padding, ...]:
        """Rows, columns and what one tap multiplies, as the unit computes them.

        Args:
            rows: Of the operation.
            axes: What the operation calls the three.
        """
        tiled = self.blocks * self.block_rows
        return (
            Padding(axes[0], rows, tiled),
            Padding(axes[1], self.cols, self.vectors * self.unit.lanes),
            Padding(axes[2], self.run, self.tap_bytes))

    @property
    def num_products(self) -> int:
        """Products of tiles in all."""
        return self.blocks * self.row_tiles * self.vectors * self.reduction_tiles

    @property
    def tile_bytes(self) -> int:
        """Bytes of a packed tile of columns, [step][column][k]."""
        return self.steps * self.unit.lanes * self.unit.dot_k

    @property
    def vector_bytes(self) -> int:
        """Bytes of all packed tiles of the same columns."""
        return self.reduction_tiles * self.tile_bytes

    def sums(self, row: int, column: int) -> int:
        """Register of one tile of sums."""
        return row * self.pass_vectors + column

    def rows_register(self, row: int) -> int:
        """Register of one tile of rows."""
        return NUM_SUMS + row

    def columns_register(self, column: int) -> int:
        """Register of one tile of columns."""
        first = NUM_SUMS + self.row_tiles
        return first + column % (self.unit.num_tiles - first)

    @cached_property
    def shapes(self) -> NDArray[np.uint8]:
        """Shapes of all registers, as the unit takes them."""
        row_bytes = self.steps * self.unit.dot_k
        shapes = {}
        for row in range(self.row_tiles):
            shapes[self.rows_register(row)] = TileShape(self.tile_rows, row_bytes)
            for column in range(self.pass_vectors):
                shapes[self.sums(row, column)] = TileShape(
                    self.tile_rows, self.unit.max_row_bytes)
        for column in range(self.pass_vectors):
            shapes[self.columns_register(column)] = TileShape(
                self.steps, self.unit.max_row_bytes)
        return self.unit.shapes(shapes)

    def passes(self, vectors: int) -> Sequence[tuple[int, int]]:
        """First tile of columns and number of tiles of each pass over a panel."""
        width = self.pass_vectors
        return [(at, min(width, vectors - at)) for at in range(0, vectors, width)]

    def pack(self, columns: NDArray[Any]) -> NDArray[Any]:
        """Reorder columns (cols, taps, run) to [vector][tap][run tile][step][column][k]."""
        unit = self.unit
        full = np.zeros(
            (self.vectors * unit.lanes, self.taps, self.tap_bytes), columns.dtype)
        full[: self.cols, :, : self.run] = columns.reshape(self.cols, self.taps, self.run)
        split = full.reshape(
            self.vectors, unit.lanes, self.reduction_tiles, self.steps, unit.dot_k)
        return np.ascontiguousarray(split.transpose(0, 2, 3, 1, 4)).reshape(-1)


def even_rows(rows: int, unit: TileUnit) -> tuple[int, int]:
    """Rows of a tile and number of tiles that cover ``rows``, the last moved back."""
    tiles = -(-rows // unit.max_rows)
    return -(-rows // tiles), tiles
