"""Which output pixels the rows of a tile stand for, and where their inputs lie.

A tile is loaded with one stride between its rows. Two ways to number the rows keep to that:

- along the whole padded image, where strides are 1. The positions between the last output of
  an image row and the first of the next are computed and dropped;
- along one row of outputs, with any strides. Tiles end with the row.
"""

from dataclasses import dataclass
from functools import cached_property

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.kernels.conv_padding import PaddedInput
from octavo.targets.kernels.tile_layout import even_rows
from octavo.targets.ops.conv import Conv
from octavo.targets.tile_unit import TileUnit


@dataclass(frozen=True)
class TilePositions:
    """The rows of the tiles of one convolution.

    Attributes:
        op: The convolution.
        unit: The matrix unit.
    """

    op: Conv
    unit: TileUnit

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

    @property
    def tile_rows(self) -> int:
        """Rows of a tile."""
        rows = self.image_rows if self.along_images else self.op.out_w
        return even_rows(rows, self.unit)[0]

    @property
    def num_tiles(self) -> int:
        """Tiles of rows."""
        if self.along_images:
            return even_rows(self.image_rows, self.unit)[1]
        return even_rows(self.op.out_w, self.unit)[1] * self.op.batch * self.op.out_h

    @property
    def stride_elements(self) -> int:
        """Input elements from one row of a tile to the next."""
        return self.op.in_c if self.along_images else self.op.stride_w * self.op.in_c

    def first(self, tile: Expr) -> Expr:
        """First position of a tile: a place in the image, or a flattened output pixel."""
        rows = self.tile_rows
        if self.along_images:
            return vector.bind(T.min(tile * rows, T.int32(self.image_rows - rows)))
        per_row = even_rows(self.op.out_w, self.unit)[1]
        start = T.min(tile % per_row * rows, T.int32(self.op.out_w - rows))
        return vector.bind(tile // per_row * self.op.out_w + start)

    def input_offset(self, position: Expr) -> Expr:
        """First input element that a position reads."""
        if self.along_images:
            return position * self.op.in_c
        return self.padded.pixel_offset(position)

    def output_pixel(self, position: Expr) -> tuple[Expr, Expr | None]:
        """Flattened output pixel of a position, and whether there is one; None: always."""
        if not self.has_gaps:
            return position, None
        op, padded = self.op, self.padded
        line, x = vector.bind(position // padded.width), position % padded.width
        y = line % padded.height
        row = line // padded.height * op.out_h + y
        exists = tirx.And(x < op.out_w, y < op.out_h)
        return row * op.out_w + x, exists
