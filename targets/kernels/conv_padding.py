"""Where a convolution finds its pixels: addresses, and the padded copy of the input."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.ops.conv import Conv

SLACK_BYTES = 64  # a run of channels is read in whole dot steps, and may end behind the image


@dataclass(frozen=True)
class PaddedInput:
    """The input as the inner loop reads it: in place, or copied between borders.

    Attributes:
        op: The convolution.
    """

    op: Conv

    @property
    def element_bytes(self) -> int:
        """Bytes of one input element."""
        return int(np.dtype(self.op.dtype).itemsize)

    @property
    def height(self) -> int:
        """Rows, padding included."""
        return self.op.in_h + self.op.pad_top + self.op.pad_bottom

    @property
    def width(self) -> int:
        """Columns, padding included."""
        return self.op.in_w + self.op.pad_left + self.op.pad_right

    @property
    def in_elements(self) -> int:
        """Elements of the unpadded input."""
        return self.op.in_elements

    @property
    def pixel(self) -> int:
        """Elements between neighbouring pixels that the inner loop reads."""
        return self.op.in_c if self.op.is_padded else self.op.in_pixel

    @property
    def scratch_elements(self) -> int:
        """Elements of the padded copy."""
        slack = SLACK_BYTES // self.element_bytes
        return self.op.batch * self.height * self.width * self.op.in_c + slack

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the padded copy, 0 when the input is read in place."""
        return self.scratch_elements * self.element_bytes if self.op.is_padded else 0

    def pixel_offset(self, row: Expr) -> Expr:
        """Offset of the first input element that output pixel ``row`` (flattened) reads."""
        return self.pixel_offsets(row, 1)[0]

    def pixel_offsets(self, row: Expr, count: int) -> list[Expr]:
        """Offsets of the first input elements that neighbouring output pixels read.

        Args:
            row: First pixel, flattened.
            count: Pixels that follow each other.
        """
        op = self.op
        if op.stride_h == op.stride_w == 1 and self.width == op.out_w and (
            self.height == op.out_h
        ):
            return [(row + r) * self.pixel for r in range(count)]
        step = op.stride_w * self.pixel
        if count > op.out_w:
            return [
                self._line_offset((row + r) // op.out_w) + (row + r) % op.out_w * step
                for r in range(count)]
        # At most one step to the next line: no division for each pixel.
        line, x = vector.bind(row // op.out_w), vector.bind(row % op.out_w)
        here = vector.bind(self._line_offset(line) + x * step)
        below = vector.bind(self._line_offset(line + 1) + (x - op.out_w) * step)
        return [
            (T.Select(x < op.out_w - r, here, below) if r else here) + r * step
            for r in range(count)]

    def _line_offset(self, line: Expr) -> Expr:
        """Offset of the first element that a line of outputs (flattened) reads."""
        op = self.op
        if op.batch > 1:
            line = line // op.out_h * self.height + line % op.out_h * op.stride_h
        else:
            line = line * op.stride_h
        return line * (self.width * self.pixel)

    def tap_offset(self, kh: Expr, kw: Expr) -> Expr:
        """Offset of a tap from the first one."""
        op = self.op
        return (kh * op.dilation_h * self.width + kw * op.dilation_w) * self.pixel

    def output_offset(self, row: Expr) -> Expr:
        """Element offset of output pixel ``row`` (flattened)."""
        op, place = self.op, self.op.placement
        if replace(place, pixel_stride=0) == type(place)():
            return row * op.out_pixel
        image, y, x = self._split(row)
        line = image * op.full_h + y * place.step_h + place.offset_h
        return (line * op.full_w + x * place.step_w + place.offset_w) * op.out_pixel

    def _split(self, row: Expr) -> tuple[Expr, Expr, Expr]:
        op = self.op
        y = row // op.out_w % op.out_h if op.batch > 1 else row // op.out_w
        return (row // (op.out_h * op.out_w) if op.batch > 1 else 0), y, row % op.out_w

    def emit(self, operands: Mapping[str, Any]) -> None:
        """Copy "x" into "scratch" with borders that stand for the real value 0."""
        op, x, scratch = self.op, operands["x"], operands["scratch"]
        line = self.width * op.in_c
        value: Expr = T.float32(0)
        if op.dtype != "float32":
            value = vector.cast(vector.load(operands["zero_point"], 0), op.dtype, 1)
        value = vector.bind(value)
        left, right = max(op.pad_left, 0), max(op.pad_right, 0)
        skipped = max(-op.pad_left, 0)
        columns = op.in_w - skipped - max(-op.pad_right, 0)
        first_row = max(-op.pad_top, 0)
        rows = op.in_h - first_row - max(-op.pad_bottom, 0)
        is_parallel = op.batch * rows * columns * op.in_c >= PARALLEL_ELEMENTS
        with vector.loop(op.batch * rows, parallel=is_parallel) as index:
            image, y = index // rows, index % rows + first_row
            at = vector.bind((image * self.height + y + op.pad_top) * line)
            if left:
                vector.fill(scratch, at, value, left * op.in_c)
            source = ((image * op.in_h + y) * op.in_w + skipped) * op.in_pixel
            if op.in_pixel == op.in_c:
                vector.copy(scratch, at + left * op.in_c, x, source, columns * op.in_c)
            else:
                with vector.loop(columns) as column:
                    vector.copy(scratch, at + (left + column) * op.in_c,
                                x, source + column * op.in_pixel, op.in_c)
            if right:
                vector.fill(
                    scratch, at + (left + columns) * op.in_c, value, right * op.in_c)
        with vector.loop(op.batch) as image:
            at = image * self.height * line
            if op.pad_top > 0:
                vector.fill(scratch, at, value, op.pad_top * line)
            if op.pad_bottom > 0:
                below = (self.height - op.pad_bottom) * line
                vector.fill(scratch, at + below, value, op.pad_bottom * line)


def is_adjacent(op: Conv, isa: Isa, vectors: int) -> bool:
    """Whether tiles of ``vectors`` vectors of channels write pixels without gaps.

    Args:
        op: The convolution.
        isa: Instructions of its arithmetic.
        vectors: Vectors of channels of a tile.
    """
    is_dense = replace(op.placement, pixel_stride=0) == type(op.placement)()
    return is_dense and op.groups == 1 and op.out_pixel == op.out_c == vectors * isa.lanes
