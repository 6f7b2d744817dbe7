"""Choose register tiles and cache blocks of matrix products from a model of the machine."""

from dataclasses import dataclass

from octavo.targets.isa import JOINED_VECTORS, Isa
from octavo.targets.schedule import Schedule

LANE_BYTES = 4
MAX_ROWS = 16  # more rows make long code and win nothing
EPILOGUE_REGISTERS = 2  # constants for all channels; each column has a bias and a multiplier
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
        if isa.tile_registers(tile_rows, panel) <= isa.num_registers
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
    pipeline = isa.pipeline
    tiles = -(-rows // tile_rows)
    full, rest = divmod(vectors, panel)
    total = 0.0
    for width, count in ((panel, full), (rest, 1 if rest else 0)):
        dots = tile_rows * width
        loads = tile_rows * isa.activation_loads + width * isa.weight_loads
        step = max(
            dots * isa.dot_cost / pipeline.dots_per_cycle,
            loads / pipeline.loads_per_cycle,
            (dots * isa.dot_cost + loads) / pipeline.issue_per_cycle,
            pipeline.dot_latency,
        )
        step += tile_rows * isa.activation_cycles + width * isa.weight_cycles
        if steps * width * isa.lanes * LANE_BYTES > pipeline.near_panel_bytes:
            step += width * pipeline.far_weight_cycles
        wanted = dots + 3 * width + 1 + EPILOGUE_REGISTERS * (1 + has_residual)
        epilogue = dots * (
            pipeline.epilogue_cycles + pipeline.residual_cycles * has_residual)
        epilogue += max(0, wanted - isa.num_registers) * pipeline.spill_cycles
        epilogue += tile_rows * pipeline.row_cycles
        if width % (JOINED_VECTORS // 2):
            epilogue += tile_rows * pipeline.part_cycles
        total += count * (steps * step + epilogue + pipeline.tile_cycles)
    return total * tiles
