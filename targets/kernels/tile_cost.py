"""Whether tiles are worth it: modelled cycles of a product on tiles and on vector registers.

What both do alike (scaling, rounding, storing the output) is left out.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from math import ceil

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernel import Slower
from octavo.targets.kernels.tile_layout import PANEL, TileLayout
from octavo.targets.kernels.tiling import MIN_TASKS
from octavo.targets.schedule import Schedule

# Why tiles refuse an operation.
SLOWER = Slower("vector registers are expected to be faster")
BLOCK_BYTES = 512 * 1024  # rows of a task: stay in the second-level cache of 2 MiB
MAX_SETUP_SHARE = 1 / 32  # of a task's cycles
MAX_GATHER_SHARE = 1 / 4  # of the cycles of the panels that share gathered rows


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
    return rows * vectors * steps * isa.dot_cost / isa.pipeline.dots_per_cycle


@dataclass(frozen=True)
class TileTasks(Schedule):
    """How the blocks of rows and the panels of columns are shared out.

    Attributes:
        blocks: Blocks of rows of one task; the last task may have fewer.
        parts: Tasks that share the rows.
        panels: Panels of one task; the last task may have fewer.
        groups: Tasks that share the panels.
        gathers: Rows are gathered before they are multiplied.
    """

    blocks: int
    parts: int
    panels: int
    groups: int
    gathers: bool = False

    @property
    def num_tasks(self) -> int:
        """Tasks of one product."""
        return self.parts * self.groups

    def blocks_of(self, part: Expr, layout: TileLayout) -> AbstractContextManager[Expr]:
        """Loop over the blocks of one task."""
        return _own(part, self.blocks, self.parts, layout.blocks)

    def panels_of(self, group: Expr, layout: TileLayout) -> AbstractContextManager[Expr]:
        """Loop over the panels of one task."""
        return _own(group, self.panels, self.groups, layout.panels)


@contextmanager
def _own(owner: Expr, size: int, owners: int, total: int) -> Iterator[Expr]:
    """Loop over what the ``owner``-th of ``owners`` has of ``total``: up to ``size``."""
    with vector.loop(size) as offset:
        index = owner * size + offset
        if size * owners == total:
            yield index
        else:
            with T.If(index < total), T.Then():
                yield index


def sharings(
    layout: TileLayout, row_bytes: int, batch: int = 1, gather_cycles: float = 0.0
) -> list[TileTasks]:
    """List ways to share out a product that are worth measuring, the model's choice first.

    There should be enough tasks, but each must be worth setting up the tiles for.

    Args:
        layout: The tiles.
        row_bytes: Bytes of activations that one row reads.
        batch: Products.
        gather_cycles: What the rows of a block cost in every task that multiplies them; 0
            where they are not gathered.
    """
    unit = layout.unit
    cycles = block_cycles(layout) / layout.panels
    panels = 1
    if gather_cycles:
        least_panels = min(layout.panels, ceil(gather_cycles / (MAX_GATHER_SHARE * cycles)))
        groups = min(layout.panels // least_panels, -(-MIN_TASKS // layout.blocks))
        panels = -(-layout.panels // groups)
    groups = -(-layout.panels // panels)
    least = ceil(unit.setup_cycles / (MAX_SETUP_SHARE * panels * cycles))
    most = BLOCK_BYTES // (row_bytes * layout.block_rows)
    wanted_parts = -(-MIN_TASKS // (groups * batch))
    first = max(1, least, min(most, layout.blocks // wanted_parts))
    found = []
    for wanted in (first, layout.blocks, 2 * first, first // 2, first // 4):
        parts = -(-layout.blocks // max(1, min(wanted, layout.blocks)))
        blocks = -(-layout.blocks // parts)
        found.append(TileTasks(blocks, parts, panels, groups, gather_cycles > 0))
    return list(dict.fromkeys(found))
