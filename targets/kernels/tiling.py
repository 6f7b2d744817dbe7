"""Choose register tiles and cache blocks of matrix products from a model of the machine."""

from dataclasses import dataclass

from octavo.targets.isa import JOINED_VECTORS, Isa
from octavo.targets.schedule import Schedule

MAX_ROWS = 16  # more rows make long code and win nothing
OVERHEAD_REGISTERS = 2  # the repeated activation, and one temporary of ``dot``
LOADS_PER_CYCLE = 2.0  # two vector loads (Intel since Haswell, AMD since Zen 2)
DOTS_PER_CYCLE = 2.0  # two vector multipliers (the same machines)
DOT_LATENCY = 5  # cycles until a sum can be added to again
ACTIVATION_CYCLES = 0.25  # what repeating an activation costs beside the dots
WEIGHT_CYCLES = 1.0  # the same of a weight vector, which comes from further away
EPILOGUE_CYCLES = 2.0  # scaling and rounding one vector
STORE_CYCLES = 4.0  # packing and storing up to JOINED_VECTORS vectors of one pixel
TILE_CYCLES = 16.0  # addresses and loop of one tile
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
        blocks: Blocks; the tiles of the last may repeat earlier ones.
    """

    rows: int
    panel: int
    block_tiles: int
    blocks: int


def tilings(
    *, isa: Isa, rows: int, vectors: int, steps: int, row_bytes: int, groups: int = 1
) -> list[Tiling]:
    """List the tilings that may be the fastest, the one with the fewest modelled cycles first.

    Args:
        isa: Instructions.
        rows: Output pixels.
        vectors: Vectors of output channels of one group.
        steps: ``dot`` operations along the reduction.
        row_bytes: Input bytes that one pixel reads.
        groups: Groups, for the number of tasks.
    """
    candidates = [
        (tile_rows, panel)
        for panel in range(1, min(vectors, 6) + 1)
        for tile_rows in range(1, min(rows, MAX_ROWS) + 1)
        if tile_rows * panel + panel + OVERHEAD_REGISTERS <= isa.num_registers
    ]

    def cost(candidate: tuple[int, int]) -> tuple[float, int]:
        tile_rows, panel = candidate
        return _cycles(isa, tile_rows, panel, rows, vectors, steps), -tile_rows * panel

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
    isa: Isa, tile_rows: int, panel: int, rows: int, vectors: int, steps: int
) -> float:
    tiles = -(-rows // tile_rows)
    full, rest = divmod(vectors, panel)
    total = 0.0
    for width, count in ((panel, full), (rest, 1 if rest else 0)):
        dots = tile_rows * width
        dot = dots * isa.dot_cost / DOTS_PER_CYCLE
        step = max(dot, (tile_rows + width) / LOADS_PER_CYCLE, DOT_LATENCY)
        step += tile_rows * ACTIVATION_CYCLES + width * WEIGHT_CYCLES
        stores = tile_rows * -(-width // JOINED_VECTORS)
        epilogue = dots * EPILOGUE_CYCLES + stores * STORE_CYCLES
        total += count * (steps * step + epilogue + TILE_CYCLES)
    return total * tiles
