"""Tiles, panels and memory of the Winograd convolution, and the order of its loops."""

from dataclasses import dataclass, replace
from functools import cached_property

from octavo.targets.isa import Isa
from octavo.targets.kernels.conv_padding import PaddedInput
from octavo.targets.kernels.scratch import Scratch
from octavo.targets.kernels.winograd_transform import OUTPUTS, POINTS
from octavo.targets.ops.conv import Conv
from octavo.targets.schedule import Schedule
from octavo.targets.word_isa import word_isa

NUM_POINTS = POINTS * POINTS
# Pieces of the work, each with memory of its own: enough for the cores of a phone or a laptop.
# Panels of transformed weights are large, and one that is used again is still in the cache.
MOST_TILE_TASKS, MOST_PANEL_TASKS = 8, 4


@dataclass(frozen=True)
class WinogradSchedule(Schedule):
    """Loops of a Winograd convolution.

    Attributes:
        rows: Tiles of a register tile.
        panel: Vectors of output channels of a register tile.
        keeps_weights: All weights are transformed first, then the input block by block; else
            all of the input first, then the weights panel by panel.
    """

    rows: int
    panel: int
    keeps_weights: bool


@dataclass(frozen=True)
class WinogradLayout:
    """Sizes, for one operation and schedule.

    Attributes:
        op: The convolution.
        isa: Instructions.
        schedule: Loops.
    """

    op: Conv
    isa: Isa
    schedule: WinogradSchedule

    @property
    def tile_rows(self) -> int:
        """Rows of tiles of one image; the last may stick out."""
        return -(-self.op.out_h // OUTPUTS)

    @property
    def tile_columns(self) -> int:
        """Columns of tiles."""
        return -(-self.op.out_w // OUTPUTS)

    @property
    def tiles(self) -> int:
        """Tiles of all images."""
        return self.op.batch * self.tile_rows * self.tile_columns

    @property
    def blocks(self) -> int:
        """Blocks of ``rows`` tiles; the last moves back over its neighbour."""
        return -(-self.tiles // self.schedule.rows)

    @property
    def panel_channels(self) -> int:
        """Output channels of a panel."""
        return self.schedule.panel * self.isa.lanes

    @property
    def panels(self) -> int:
        """Panels of output channels."""
        return self.op.out_c // self.panel_channels

    @property
    def steps(self) -> int:
        """``dot`` operations along the input channels."""
        return self.op.in_c // word_isa(self.isa).dot_k

    @property
    def words(self) -> int:
        """int16 elements of a vector."""
        return word_isa(self.isa).dot_k * self.isa.lanes

    # A vector more between the points: what has a distance of a power of two meets in few
    # sets of the caches.

    @property
    def weight_point(self) -> int:
        """Elements between the points of a panel of transformed weights."""
        return self.op.in_c * self.panel_channels + self.words

    @property
    def input_point(self) -> int:
        """Elements between the points of a block of transformed input."""
        return self.op.in_c * self.schedule.rows + self.words

    @property
    def sum_point(self) -> int:
        """Elements between the points of the sums of a block and a panel."""
        return self.schedule.rows * self.panel_channels + self.isa.lanes

    @cached_property
    def padded(self) -> PaddedInput:
        """The input, padded to whole tiles."""
        op = self.op
        border = POINTS - OUTPUTS
        height, width = (n * OUTPUTS + border for n in (self.tile_rows, self.tile_columns))
        return PaddedInput(replace(
            op,
            pad_bottom=height - op.in_h - op.pad_top,
            pad_right=width - op.in_w - op.pad_left,
        ))

    @property
    def tasks(self) -> int:
        """Pieces of the work on products, each with memory of its own."""
        if self.schedule.keeps_weights:
            return min(MOST_TILE_TASKS, self.blocks)
        return min(MOST_PANEL_TASKS, self.panels)

    @cached_property
    def scratch(self) -> Scratch:
        """Padded input, transformed weights, transformed input, sums of products."""
        keeps = self.schedule.keeps_weights
        panels, blocks = (
            (self.panels, self.tasks) if keeps else (self.tasks, self.blocks))
        padded = self.padded
        parts = [
            ("weights", panels * NUM_POINTS * self.weight_point, "int16"),
            ("inputs", blocks * NUM_POINTS * self.input_point, "int16"),
            ("sums", self.tasks * NUM_POINTS * self.sum_point, "int32"),
        ]
        if padded.op.is_padded:
            parts.insert(0, ("padded", padded.scratch_elements, self.op.dtype))
        return Scratch(tuple(parts))
