"""Which taps of a convolution lie inside the image, for the pixels of an output line."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.isa import Expr
from octavo.targets.ops.conv import Conv

Range = tuple[int, int]


def taps_inside(
    position: int, taps: int, stride: int, dilation: int, pad: int, size: int
) -> Range:
    """First tap inside the image, and the one behind the last, along one axis.

    Args:
        position: Of the output pixel.
        taps: Of the kernel.
        stride: Distance of neighbouring outputs.
        dilation: Distance of neighbouring taps.
        pad: Padding before the image, at least 0.
        size: Of the image.
    """
    start = position * stride - pad
    low = min(taps, max(0, -(start // dilation)))
    return low, max(low, min(taps, -((start - size) // dilation)))


@dataclass(frozen=True)
class LineTaps:
    """Rows of taps, which all pixels of a line share, and columns, which all lines share.

    Attributes:
        op: The convolution; no padding is negative.
    """

    op: Conv

    @cached_property
    def columns(self) -> list[Range]:
        """Columns of taps of every output column: first, and behind the last."""
        op = self.op
        return [
            taps_inside(x, op.kernel_w, op.stride_w, op.dilation_w, op.pad_left, op.in_w)
            for x in range(op.out_w)]

    @cached_property
    def rows(self) -> list[Range]:
        """Rows of taps of every output line."""
        op = self.op
        return [
            taps_inside(y, op.kernel_h, op.stride_h, op.dilation_h, op.pad_top, op.in_h)
            for y in range(op.out_h)]

    @property
    def rows_of_taps(self) -> int:
        """Rows of taps inside, of all lines together."""
        return sum(high - low for low, high in self.rows)

    def inside(self, kw: int) -> list[int]:
        """Output columns whose tap of column ``kw`` is inside."""
        return [x for x, (low, high) in enumerate(self.columns) if low <= kw < high]

    def row_range(self, y: Expr) -> tuple[Expr, Expr]:
        """Rows of taps of output line ``y``."""
        op = self.op
        start = y * op.stride_h - op.pad_top
        # C divides towards zero, so only numbers that are not negative are divided.
        before = T.max(T.int32(0), 0 - start) + (op.dilation_h - 1)
        low = T.min(T.int32(op.kernel_h), before // op.dilation_h)
        after = T.max(T.int32(0), op.in_h - start) + (op.dilation_h - 1)
        high = T.min(T.int32(op.kernel_h), after // op.dilation_h)
        return low, T.max(low, high)

    @cached_property
    def _column_classes(self) -> list[Range]:
        return sorted(set(self.columns))

    @cached_property
    def _highs(self) -> Range:
        highs = [high for _, high in self.rows]
        return min(highs), max(highs)

    @cached_property
    def _lows(self) -> Range:
        lows = [low for low, _ in self.rows]
        return min(lows), max(lows)

    def row_class(self, low: Any, high: Any) -> Any:
        """Number of a range of rows of taps."""
        first, last = self._highs
        return (low - self._lows[0]) * (last - first + 1) + (high - first)

    def bias_class(self, row_class: Any, x: int) -> Any:
        """Number of the bias of a pixel of column ``x``."""
        if not self.op.has_zero_point:
            return 0
        column = self._column_classes.index(self.columns[x])
        return row_class * len(self._column_classes) + column

    @property
    def num_classes(self) -> int:
        """Biases of one output channel: one where padding adds nothing."""
        if not self.op.has_zero_point:
            return 1
        (low, high), (first, last) = self._lows, self._highs
        return (high - low + 1) * (last - first + 1) * len(self._column_classes)

    def sums(self, weight: NDArray[Any]) -> NDArray[np.int64]:
        """Sums of the weights that meet the zero point, (num_classes, out_c).

        They are in the order of ``bias_class``; 0 where there is no zero point.

        Args:
            weight: OHWI.
        """
        if not self.op.has_zero_point:
            return np.zeros((1, self.op.out_c), np.int64)
        wide = weight.astype(np.int64)
        lows = range(self._lows[0], self._lows[1] + 1)
        highs = range(self._highs[0], self._highs[1] + 1)
        return np.array([
            wide[:, low:max(low, high), first:last].sum(axis=(1, 2, 3))
            for low, high, (first, last) in product(lows, highs, self._column_classes)])
