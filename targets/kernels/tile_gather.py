"""The rows of the tiles of a convolution, copied together block by block.

Where taps are short (a first layer reads 21 bytes at a time) or output rows narrow, loading
the input itself leaves most of a tile empty. Then the elements that each output pixel reads
are copied side by side into memory that stays in the cache, and multiplied as one run.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.kernels.conv_packing import Packing
from octavo.targets.kernels.conv_padding import PaddedInput
from octavo.targets.kernels.scratch import ALIGNMENT
from octavo.targets.kernels.tile_layout import TileLayout, even_rows
from octavo.targets.ops.conv import Conv
from octavo.targets.tile_unit import TileUnit

ROW_CYCLES = 8.0  # addresses of one row
COPY_CYCLES = 1.0  # loading and storing one vector of ``vector.COPY_LANES`` bytes
SLACK_BYTES = 64  # short runs are copied in one piece, and write a bit more


@dataclass(frozen=True)
class GatheredRows:
    """One row for each output pixel, all taps side by side.

    Attributes:
        op: The convolution.
        unit: The matrix unit.
        packing: How taps and channels run in memory.
    """

    op: Conv
    unit: TileUnit
    packing: Packing

    @property
    def pixels(self) -> int:
        """Output pixels."""
        return self.op.batch * self.op.out_h * self.op.out_w

    @cached_property
    def layout(self) -> TileLayout:
        """All taps are one run."""
        taps_h, taps_w = self.packing.taps
        run = taps_h * taps_w * self.packing.run
        return TileLayout(self.unit, *even_rows(self.pixels, self.unit), self.op.out_c, run)

    @property
    def stride_bytes(self) -> int:
        """One gathered row; zero weights meet what lies behind the last tap."""
        return self.layout.tap_bytes

    @property
    def copied(self) -> int:
        """Bytes that are copied for one tap: at least its run, in one piece where short."""
        run = self.packing.run
        return run if run >= vector.COPY_LANES else 1 << (run - 1).bit_length()

    @property
    def gather_cycles(self) -> float:
        """Cycles of copying the rows of one block."""
        taps_h, taps_w = self.packing.taps
        copies = taps_h * taps_w * -(-self.copied // vector.COPY_LANES)
        return self.layout.block_rows * (ROW_CYCLES + copies * COPY_CYCLES)

    @property
    def task_bytes(self) -> int:
        """One block."""
        block = self.layout.block_rows * self.stride_bytes + SLACK_BYTES
        return -(-block // ALIGNMENT) * ALIGNMENT

    def first(self, tile: Expr) -> Expr:
        """A flattened output pixel."""
        rows = self.layout.tile_rows
        return vector.bind(T.min(tile * rows, T.int32(self.pixels - rows)))

    def emit(self, operands: Mapping[str, Any], source: Any, task: Expr,
             firsts: Sequence[Expr]) -> tuple[Any, list[Expr]]:
        """Copy the rows of a block. What a short copy writes too much, the next one mends."""
        gathered, stride = operands["gathered"], self.stride_bytes
        padded = PaddedInput(self.op)
        taps_h, taps_w = self.packing.taps
        tile_bytes = self.layout.tile_rows * stride
        bases = [
            vector.bind(T.int32(0) + task * self.task_bytes + i * tile_bytes)
            for i in range(len(firsts))
        ]
        for first, base in zip(firsts, bases, strict=True):
            with vector.loop(self.layout.tile_rows) as row:
                pixel = vector.bind(padded.pixel_offset(first + row))
                with vector.loop(taps_h) as kh, vector.loop(taps_w) as kw:
                    at = base + row * stride + (kh * taps_w + kw) * self.packing.run
                    vector.copy(gathered, at, source, pixel + padded.tap_offset(kh, kw),
                                self.copied)
        return gathered, bases

    @contextmanager
    def reduction(self) -> Iterator[tuple[Expr, Expr]]:
        """Loop over parts of the run."""
        layout = self.layout
        with vector.loop(layout.run_tiles) as part:
            yield part * (layout.steps * self.unit.dot_k), part

    def output_pixel(self, position: Expr) -> tuple[Expr, Expr | None]:
        """Every position is one."""
        return position, None
