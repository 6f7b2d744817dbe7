"""Decide how a depthwise convolution is tiled, and pack its constants accordingly."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.float_isa import float_isa
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa
from octavo.targets.kernels.epilogue import constant_arrays
from octavo.targets.kernels.window import Window
from octavo.targets.ops.conv import Conv
from octavo.targets.schedule import Schedule
from octavo.targets.word_isa import WORD, arithmetic_of_words

Arrays = Mapping[str, NDArray[Any]]
MAX_COLUMNS = 8  # more output columns per tile win little: a tap column is already shared
BLOCK_COLUMNS = 4  # fewer share too little, more have more sums at a time than registers
IN_BLOCKS_COST = 3.2  # of a panel in blocks, see ``_panel_cost``
MAX_UNROLLED_GROUPS = 3
MAX_DOTS = 800  # LLVM takes a second or two for these, and much longer for more
CHANNEL_CONSTANTS = frozenset({"multiplier", "significand", "shift", "residual_significand"})
BYTES = ("uint8", "int8")
FREE_REGISTERS = 4  # for addresses of constants, limits and temporaries of ``dot``


@dataclass(frozen=True)
class DepthwiseTile(Schedule):
    """What stays in registers.

    Attributes:
        columns: Output columns of a tile.
        panel: Vectors of channels of a tile.
    """

    columns: int
    panel: int


def upright(op: Conv) -> Conv:
    """Turn a convolution along one row into the same one along one column."""
    if not (op.in_h == op.kernel_h == op.full_h == 1):
        return op
    place = op.placement
    return replace(
        op, in_h=op.in_w, in_w=1, kernel_h=op.kernel_w, kernel_w=1, stride_h=op.stride_w,
        stride_w=op.stride_h, dilation_h=op.dilation_w, dilation_w=op.dilation_h,
        pad_top=op.pad_left, pad_left=op.pad_top, pad_bottom=op.pad_right,
        pad_right=op.pad_bottom,
        placement=replace(
            place, height=place.width, width=place.height, step_h=place.step_w,
            step_w=place.step_h, offset_h=place.offset_w, offset_w=place.offset_h))


class DepthwiseLayout:
    """Tiles and packed constants of one depthwise convolution.

    Attributes:
        op: The convolution; one along a row is turned into one along a column.
        isa: Instructions of its arithmetic.
        rows, columns: The sliding window along each axis.
        groups: Groups of ``dot_k`` kernel rows.
        schedule: The tile; None for the model's choice.
    """

    def __init__(self, op: Conv, isa: Isa, schedule: DepthwiseTile | None = None) -> None:
        self.schedule = schedule
        self.op = op = upright(op)
        self.is_float = op.dtype == "float32"
        if op.dtype == WORD:
            isa = arithmetic_of_words(isa)
        self.isa = float_isa(isa) if self.is_float else isa.by_lane
        self.rows = Window(
            op.in_h, op.out_h, op.kernel_h, op.stride_h, op.dilation_h, op.pad_top)
        self.columns = Window(
            op.in_w, op.out_w, op.kernel_w, op.stride_w, op.dilation_w, op.pad_left)
        self.groups = -(-op.kernel_h // self.isa.dot_k)

    @cached_property
    def panel(self) -> int:
        """Vectors of channels that are computed together."""
        if self.schedule is not None:
            return self.schedule.panel
        vectors = -(-self.op.out_c // self.isa.lanes)
        counts = range(1, min(self.isa.joined_vectors, vectors) + 1)
        return min(
            [p for p in counts if self._num_dots(p, self._tile(p)) <= MAX_DOTS] or [1],
            key=lambda p: (-(-vectors // p) * self._panel_cost(p), -p))

    def _panel_cost(self, panel: int) -> float:
        """Time of a panel, in vectors that are neither spread nor joined in blocks."""
        return IN_BLOCKS_COST if self._is_in_blocks(panel) else panel + 0.5

    def _is_in_blocks(self, panel: int) -> bool:
        if self.is_float or not self.isa.has_blocks:
            return False
        if self.isa.block_lanes == self.isa.lanes:
            return True  # in order
        epilogue = self.op.requantize
        return (
            panel == JOINED_VECTORS
            and (epilogue.mode == "float32" or epilogue.is_divided)
            and epilogue.dtype in BYTES
            and epilogue.residual is None)

    @property
    def num_dots(self) -> int:
        """Multiplications in the code: every tile at a border is code of its own."""
        return self._num_dots(self.panel, self.tile)

    def _num_dots(self, panel: int, tile: int) -> int:
        starts = self._starts(tile)
        borders = sum(not self._is_inner(start, tile) for start in starts)
        tiles = borders + (borders < len(starts))
        groups = self.groups if self.is_unrolled else 1
        return groups * self.op.kernel_w * tile * panel * tiles

    @property
    def panels(self) -> int:
        """Panels that cover the channels; the last may overlap its neighbour."""
        return -(-self.op.out_c // self.panel_channels)

    @property
    def panel_channels(self) -> int:
        """Channels of a panel."""
        return self.panel * self.isa.lanes

    @cached_property
    def tile(self) -> int:
        """Output columns of a tile."""
        return self._tile(self.panel) if self.schedule is None else self.schedule.columns

    def _tile(self, panel: int) -> int:
        wanted = self.isa.depthwise_columns(self.op.out_w, self.op.stride_w)
        if wanted and self._num_dots(panel, wanted) <= MAX_DOTS:
            return wanted
        if self._is_in_blocks(panel):
            return self._block_tile(panel)
        most = self._max_tile(panel)
        return -(-self.op.out_w // -(-self.op.out_w // most))

    def _block_tile(self, panel: int) -> int:
        """Columns that repeat the fewest, and are near ``BLOCK_COLUMNS``.

        Pixels are stored as soon as their taps are added, so registers limit nothing.
        """
        out = self.op.out_w
        columns = [
            n for n in range(min(BLOCK_COLUMNS - 1, out), min(MAX_COLUMNS, out + 1))
            if self._num_dots(panel, n) <= MAX_DOTS]
        return min(
            columns or [1], key=lambda n: (-(-out // n) * n, abs(n - BLOCK_COLUMNS)))

    def _max_tile(self, panel: int) -> int:
        if self._is_in_blocks(panel):
            return min(MAX_COLUMNS, self.op.out_w)
        room = (self.isa.num_registers - FREE_REGISTERS - panel) // panel
        return max(1, min(MAX_COLUMNS, room, self.op.out_w))

    @property
    def schedules(self) -> list[DepthwiseTile]:
        """Tiles worth measuring: the model's choice, then each panel's widest, and so on."""
        vectors = -(-self.op.out_c // self.isa.lanes)
        tiles = [
            DepthwiseTile(self._max_tile(panel) - less, panel)
            for less in range(MAX_COLUMNS)
            for panel in range(min(self.isa.joined_vectors, vectors), 0, -1)
            if less < self._max_tile(panel)
            and self._num_dots(panel, self._max_tile(panel) - less) <= MAX_DOTS
        ]
        return list(dict.fromkeys([DepthwiseTile(self.tile, self.panel), *tiles]))

    @cached_property
    def tile_starts(self) -> list[int]:
        """First output column of every tile; the last moves back to be whole."""
        return self._starts(self.tile)

    def _starts(self, tile: int) -> list[int]:
        out = self.op.out_w
        return [min(at, out - tile) for at in range(0, out, tile)]

    def is_inner(self, start: int) -> bool:
        """Whether all columns of the tile are inside of the input."""
        return self._is_inner(start, self.tile)

    def _is_inner(self, start: int, tile: int) -> bool:
        behind = self.op.out_w - self.columns.num_behind
        return start >= self.columns.num_before and start + tile <= behind

    @property
    def is_unrolled(self) -> bool:
        """Whether the groups of kernel rows are straight-line code."""
        return self.groups <= MAX_UNROLLED_GROUPS

    @property
    def has_inner_rows(self) -> bool:
        """Whether rows with all taps inside are worth code of their own: most rows are."""
        return (self.rows.num_before + self.rows.num_behind) * 2 < self.op.out_h

    @property
    def in_blocks(self) -> bool:
        """Whether lanes hold channels in the order of ``Isa.spread_blocks``."""
        return self._is_in_blocks(self.panel)

    @property
    def stored_channels(self) -> int:
        """Channels of all panels, those that overlap twice."""
        return self.panels * self.panel_channels

    @property
    def weight_elements(self) -> int:
        """Packed weights."""
        return self.groups * self.op.kernel_w * self.stored_channels * self.isa.dot_k

    def weight_offset(self, panel: Expr, group: Expr) -> Expr:
        """Packed weight of a panel's first kernel column in a group of rows."""
        columns = (panel * self.groups + group) * self.op.kernel_w
        return columns * (self.panel_channels * self.isa.dot_k)

    def group_taps(self, group: Expr) -> list[Expr]:
        """Kernel rows of a group; behind the last one there are only zero weights."""
        taps = [group * self.isa.dot_k + k for k in range(self.isa.dot_k)]
        return [t for t in taps if not isinstance(t, int) or t < self.op.kernel_h]

    def panel_start(self, panel: Expr) -> Expr:
        """First channel of a panel; the last moves back over its neighbour."""
        if self.panels == 1:
            return 0
        last = self.op.out_c - self.panel_channels
        if isinstance(panel, int):
            return min(panel * self.panel_channels, last)
        return T.min(panel * self.panel_channels, T.int32(last))

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Weights, bias and the epilogue's constants, as the kernel's operands."""
        op, order = self.op, self._channel_order()
        weight = arrays["weight"].reshape(op.out_c, op.kernel_h, op.kernel_w)
        bias = arrays["bias"].reshape(-1)
        packed = [self._pack_weight(weight[order])]
        if self.is_float:
            return [*packed, bias[order], arrays["limits"]]
        zero_point = int(arrays["zero_point"].reshape(-1)[0])
        sums = weight.astype(np.int64).sum(axis=(1, 2))
        packed.append((bias.astype(np.int64) - zero_point * sums).astype(np.int32)[order])
        ordered = {
            name: array.reshape(-1)[order] if name in CHANNEL_CONSTANTS else array
            for name, array in arrays.items()
        }
        packed.extend(constant_arrays(op.requantize, self.stored_channels, ordered).values())
        if op.is_padded:
            packed.append(self._zero_word(zero_point))
        return packed

    def _channel_order(self) -> NDArray[np.intp]:
        """Channels in the order of the panels' lanes; behind the last one it is repeated."""
        within = np.arange(self.panel_channels)
        if self.in_blocks and self.isa.block_lanes < self.isa.lanes:
            blocks = within.reshape(-1, JOINED_VECTORS, self.isa.block_lanes)
            within = blocks.transpose(1, 0, 2).reshape(-1)
        starts = [self.panel_start(panel) for panel in range(self.panels)]
        order = np.concatenate([start + within for start in starts])
        return order.clip(max=self.op.out_c - 1)

    def _zero_word(self, zero_point: int) -> NDArray[np.int32]:
        """The zero point in every tap of a 32-bit lane of ``Isa.dot``."""
        if self.isa.dot_k == 1:
            return np.array([zero_point], np.int32)
        return np.full(self.isa.dot_k, zero_point, self.op.dtype).view(np.int32)

    def _pack_weight(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Reorder (stored channels, h, w) to [panel][group][column][channel][tap].

        Behind the last kernel row is 0.
        """
        op, dot_k = self.op, self.isa.dot_k
        tall = np.zeros((self.stored_channels, self.groups * dot_k, op.kernel_w), weight.dtype)
        tall[:, : op.kernel_h] = weight
        split = tall.reshape(
            self.panels, self.panel_channels, self.groups, dot_k, op.kernel_w)
        return np.ascontiguousarray(split.transpose(0, 2, 4, 1, 3)).reshape(-1)
