"""The rows of the tiles of a convolution, where the input itself can be loaded as tiles.

A tile is loaded with one stride between its rows. Two ways to number the rows keep to that:

- along the whole padded image, where strides are 1. The positions between the last output of
  an image row and the first of the next are computed and dropped;
- along one row of outputs, with any strides. Tiles end with the row.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.kernels.conv_packing import Packing
from octavo.targets.kernels.conv_padding import PaddedInput
from octavo.targets.kernels.tile_layout import TileLayout, even_rows
from octavo.targets.ops.conv import Conv
from octavo.targets.tile_unit import TileUnit


class TileRows(Protocol):
    """Where tiles of rows come from, and which outputs they belong to."""

    @property
    def layout(self) -> TileLayout:
        """The tiles of the product."""
        ...

    @property
    def stride_bytes(self) -> int:
        """Bytes from one row of a tile to the next."""
        ...

    @property
    def gather_cycles(self) -> float:
        """Cycles that the rows of one block cost before they are multiplied."""
        ...

    @property
    def task_bytes(self) -> int:
        """Memory of one task for gathered rows."""
        ...

    def first(self, tile: Expr) -> Expr:
        """First position of a tile."""
        ...

    def emit(self, operands: Mapping[str, Any], source: Any, task: Expr,
             firsts: Sequence[Expr]) -> tuple[Any, list[Expr]]:
        """Bring the rows of a block where tiles can be loaded.

        Args:
            operands: Buffers by name, "gathered" among them where there is one.
            source: The padded input.
            task: Number of the task, for its own memory.
            firsts: First position of each tile.

        Returns:
            The buffer, and the first element of each tile.
        """
        ...

    def reduction(self) -> AbstractContextManager[tuple[Expr, Expr]]:
        """Loop over the reduction, see ``octavo.targets.kernels.tile_block.Reduction``."""
        ...

    def output_pixel(self, position: Expr) -> tuple[Expr, Expr | None]:
        """Flattened output pixel of a position, and whether there is one; None: always."""
        ...


@dataclass(frozen=True)
class DirectRows:
    """Rows that lie in the input with one stride.

    Attributes:
        op: The convolution.
        unit: The matrix unit.
        packing: How taps and channels run in memory.
    """

    op: Conv
    unit: TileUnit
    packing: Packing
    gather_cycles: float = 0.0
    task_bytes: int = 0

    @cached_property
    def padded(self) -> PaddedInput:
        """The input as it is read."""
        return PaddedInput(self.op)

    @property
    def image_rows(self) -> int:
        """Positions from the first output to the last, along whole padded images."""
        op, padded = self.op, self.padded
        image = padded.height * padded.width
        return (op.batch - 1) * image + (op.out_h - 1) * padded.width + op.out_w

    @cached_property
    def along_images(self) -> bool:
        """Whether rows are numbered along the whole image: where that needs fewer tiles."""
        op = self.op
        if (op.stride_h, op.stride_w) != (1, 1):
            return False
        _, by_row = even_rows(op.out_w, self.unit)
        return even_rows(self.image_rows, self.unit)[1] <= by_row * op.batch * op.out_h

    @property
    def has_gaps(self) -> bool:
        """Whether some positions are no outputs."""
        op, padded = self.op, self.padded
        return self.along_images and (
            padded.width != op.out_w or (op.batch > 1 and padded.height != op.out_h))

    @cached_property
    def layout(self) -> TileLayout:
        """Taps are runs of their own."""
        op, packing = self.op, self.packing
        rows, num_tiles = even_rows(
            self.image_rows if self.along_images else op.out_w, self.unit)
        if not self.along_images:
            num_tiles *= op.batch * op.out_h
        taps_h, taps_w = packing.taps
        return TileLayout(self.unit, rows, num_tiles, op.out_c, packing.run, taps_h * taps_w)

    @property
    def stride_bytes(self) -> int:
        """One position."""
        return self.padded.pixel * (1 if self.along_images else self.op.stride_w)

    def first(self, tile: Expr) -> Expr:
        """A place in the image, or a flattened output pixel."""
        rows, out_w = self.layout.tile_rows, self.op.out_w
        if self.along_images:
            return vector.bind(T.min(tile * rows, T.int32(self.image_rows - rows)))
        _, per_row = even_rows(out_w, self.unit)
        start = T.min(tile % per_row * rows, T.int32(out_w - rows))
        return vector.bind(tile // per_row * out_w + start)

    def emit(self, operands: Mapping[str, Any], source: Any, task: Expr,
             firsts: Sequence[Expr]) -> tuple[Any, list[Expr]]:
        """Leave the rows where they are."""
        del operands, task
        if self.along_images:
            return source, [vector.bind(first * self.padded.pixel) for first in firsts]
        return source, [vector.bind(self.padded.pixel_offset(first)) for first in firsts]

    @contextmanager
    def reduction(self) -> Iterator[tuple[Expr, Expr]]:
        """Loop over taps and their parts."""
        layout, (taps_h, taps_w) = self.layout, self.packing.taps
        part_bytes = layout.steps * self.unit.dot_k
        with vector.loop(taps_h) as kh, vector.loop(taps_w) as kw, \
                vector.loop(layout.run_tiles) as part:
            offset = self.padded.tap_offset(kh, kw) + part * part_bytes
            yield offset, (kh * taps_w + kw) * layout.run_tiles + part

    def output_pixel(self, position: Expr) -> tuple[Expr, Expr | None]:
        """Leave out the gaps."""
        if not self.has_gaps:
            return position, None
        op, padded = self.op, self.padded
        line, x = vector.bind(position // padded.width), position % padded.width
        y = line % padded.height
        row = line // padded.height * op.out_h + y
        return row * op.out_w + x, tirx.And(x < op.out_w, y < op.out_h)
