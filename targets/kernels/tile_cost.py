"""Whether tiles are worth it: modelled cycles of a product on tiles and on vector registers.

What both do alike (scaling, rounding, storing the output) is left out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.tile_layout import PANEL, TileLayout
from octavo.targets.kernels.tiling import DOTS_PER_CYCLE, MIN_TASKS

SLOWER = "vector registers are expected to be faster"  # why tiles refuse an operation
BLOCK_BYTES = 512 * 1024  # rows of a task: stay in the second-level cache of 2 MiB
MAX_SETUP_SHARE = 1 / 32  # of a task's cycles


def block_cycles(layout: TileLayout) -> float:
    """Cycles of one block of rows and all columns."""
    unit = layout.unit
    total = 0.0
    for panel in range(layout.panels):
        vectors = min(PANEL, layout.vectors - panel * PANEL)
        for _, count in layout.passes(vectors):
            loads = (layout.row_tiles + count) * unit.load_cycles
            products = layout.row_tiles * count * unit.product_cycles
            sums = layout.row_tiles * count
            # Sums are set, stored, and loaded again by vectors.
            ends = sums * (unit.load_cycles + unit.store_cycles + layout.tile_rows / 2)
            total += layout.reduction_tiles * max(loads, products) + ends
    return total


def tile_cycles(layout: TileLayout) -> float:
    """Cycles of the whole product in one thread."""
    return layout.unit.setup_cycles + layout.blocks * block_cycles(layout)


def register_cycles(isa: Isa, rows: int, cols: int, run: int, taps: int = 1) -> float:
    """Cycles of the same product on vector registers, at the rate of the multipliers.

    Args:
        isa: Instructions.
        rows: Rows that are computed.
        cols: Columns.
        run: Contiguous bytes of a row that one tap reads.
        taps: Taps.
    """
    steps = taps * -(-run // isa.dot_k)
    vectors = -(-cols // isa.lanes)
    return rows * vectors * steps * isa.dot_cost / DOTS_PER_CYCLE


@dataclass(frozen=True)
class TileTasks:
    """How the blocks of rows are shared out.

    Attributes:
        blocks: Blocks of rows of one task; the last task may have fewer.
        parts: Tasks of one panel of columns.
    """

    blocks: int
    parts: int

    @contextmanager
    def blocks_of(self, part: Expr, layout: TileLayout) -> Iterator[Expr]:
        """Loop over the blocks of one task."""
        with vector.loop(self.blocks) as index:
            block = part * self.blocks + index
            if self.blocks * self.parts == layout.blocks:
                yield block
            else:
                with T.If(block < layout.blocks), T.Then():
                    yield block


def share_out(layout: TileLayout, row_bytes: int, batch: int = 1) -> TileTasks:
    """Choose tasks: enough of them, but each worth setting up the tiles for.

    Args:
        layout: The tiles.
        row_bytes: Bytes of activations that one row reads.
        batch: Products.
    """
    unit = layout.unit
    cycles = block_cycles(layout) / layout.panels
    least = ceil(unit.setup_cycles / (MAX_SETUP_SHARE * cycles))
    most = BLOCK_BYTES // (row_bytes * layout.block_rows)
    wanted_parts = -(-MIN_TASKS // (layout.panels * batch))
    blocks = max(1, least, min(most, layout.blocks // wanted_parts))
    parts = -(-layout.blocks // min(blocks, layout.blocks))
    return TileTasks(-(-layout.blocks // parts), parts)
