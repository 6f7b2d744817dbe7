"""Choose register tiles and cache blocks of matrix products from a model of the machine."""

from dataclasses import dataclass

from octavo.targets.isa import Isa
from octavo.targets.schedule import Schedule

LANE_BYTES = 4
MAX_ROWS = 16  # more rows make long code and win nothing
OVERHEAD_REGISTERS = 2  # the repeated activation, and one temporary of ``dot``
EPILOGUE_REGISTERS = 2  # constants for all channels; each column has a bias and a multiplier
LOADS_PER_CYCLE = 2.0  # two vector loads (Intel since Haswell, AMD since Zen 2)
DOTS_PER_CYCLE = 2.0  # two vector multipliers (the same machines)
DOT_LATENCY = 4.2  # cycles until a sum can be added to again
# What follows fits the times of benchmarks/tiles.py.
FAR_WEIGHT_CYCLES = 0.25  # what a weight vector from the second-level cache costs more
NEAR_PANEL_BYTES = 24 * 1024  # larger panels do not stay in the first level
SPILL_CYCLES = 1.4  # storing and loading what has no register, for each tile
EPILOGUE_CYCLES = 0.8  # of a vector, as far as it does not run beside dots
RESIDUAL_CYCLES = 1.0  # the same of a residual
TILE_CYCLES = 2.0  # addresses and loop of one tile
BLOCK_BYTES = 256 * 1024  # input of one block: stays in the second-level cache
MIN_TASKS = 8  # enough pieces for the cores of a phone or a laptop
MAX_SLOWDOWN = 1.6  # slower tiles, by the model, are not worth measuring


@dataclass(frozen=True)
class Tiling(Schedule):
    """Register tile and cache block.

    Attributes:
        rows: Output pixels of a tile.
        panel: Vectors of output channels of a tile.
        block_tiles: Tiles of one block.
        blocks: Blocks; the last may have fewer tiles.
    """

    rows: int
    panel: int
    block_tiles: int
    blocks: int


def tilings(
    *, isa: Isa, rows: int, vectors: int, steps: int, row_bytes: int, groups: int = 1,
    has_residual: bool = False,
) -> list[Tiling]:
    """List the tilings that may be the fastest, the one with the fewest modelled cycles first.

    Args:
        isa: Instructions.
        rows: Output pixels.
        vectors: Vectors of output channels of one group.
        steps: ``dot`` operations along the reduction.
        row_bytes: Input bytes that one pixel reads.
        groups: Groups, for the number of tasks.
        has_residual: A tensor is added before the result is stored.
    """
    candidates = [
        (tile_rows, panel)
        for panel in range(1, min(vectors, 6) + 1)
        for tile_rows in range(1, min(rows, MAX_ROWS) + 1)
        if tile_rows * panel + panel + OVERHEAD_REGISTERS <= isa.num_registers
    ]

    def cost(candidate: tuple[int, int]) -> tuple[float, int]:
        tile_rows, panel = candidate
        cycles = _cycles(isa, tile_rows, panel, rows, vectors, steps, has_residual)
        return cycles, -tile_rows * panel

    costs = {candidate: cost(candidate) for candidate in candidates}
    candidates.sort(key=costs.__getitem__)
    slowest = MAX_SLOWDOWN * costs[candidates[0]][0]
    found = []
    for tile_rows, panel in candidates:
        if costs[tile_rows, panel][0] > slowest:
            break
        tiles = -(-rows // tile_rows)
        block_tiles = max(1, BLOCK_BYTES // max(1, row_bytes * tile_rows))
        block_tiles = min(block_tiles, _max_block_tiles(tiles, -(-vectors // panel) * groups))
        found.append(_blocked(tile_rows, panel, tiles, block_tiles))
    # Blocks are judged with the best tile only: the two hardly depend on each other.
    first = found[0]
    tiles = -(-rows // first.rows)
    most = _max_block_tiles(tiles, -(-vectors // first.panel) * groups)
    other_blocks = [
        _blocked(first.rows, first.panel, tiles, block_tiles)
        for block_tiles in (
            most, first.block_tiles * 2, first.block_tiles // 2, first.block_tiles // 4)
        if 1 <= block_tiles <= most
    ]
    return list(dict.fromkeys([first, *other_blocks, *found]))


def _max_block_tiles(tiles: int, panels: int) -> int:
    """Tiles of the largest block that leaves work for several cores."""
    wanted_blocks = -(-MIN_TASKS // panels)
    return max(1, -(-tiles // wanted_blocks))


def _blocked(tile_rows: int, panel: int, tiles: int, block_tiles: int) -> Tiling:
    """Blocks of about ``block_tiles`` tiles, as even as they get."""
    blocks = -(-tiles // block_tiles)
    return Tiling(tile_rows, panel, -(-tiles // blocks), blocks)


def _cycles(
    isa: Isa, tile_rows: int, panel: int, rows: int, vectors: int, steps: int,
    has_residual: bool,
) -> float:
    tiles = -(-rows // tile_rows)
    full, rest = divmod(vectors, panel)
    total = 0.0
    for width, count in ((panel, full), (rest, 1 if rest else 0)):
        dots = tile_rows * width
        dot = dots * isa.dot_cost / DOTS_PER_CYCLE
        step = max(dot, (tile_rows + width) / LOADS_PER_CYCLE, DOT_LATENCY)
        step += tile_rows * isa.activation_cycles + width * isa.weight_cycles
        if steps * width * isa.lanes * LANE_BYTES > NEAR_PANEL_BYTES:
            step += width * FAR_WEIGHT_CYCLES
        wanted = dots + 3 * width + 1 + EPILOGUE_REGISTERS * (1 + has_residual)
        epilogue = dots * (EPILOGUE_CYCLES + RESIDUAL_CYCLES * has_residual)
        epilogue += max(0, wanted - isa.num_registers) * SPILL_CYCLES
        total += count * (steps * step + epilogue + TILE_CYCLES)
    return total * tiles
