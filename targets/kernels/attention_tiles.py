"""Choose the rows and panels of attention from a model of the machine.

The same rows make scores and mix values, so that a tile's weights never leave the first-level
cache. Panels of one product differ by at most one vector: a narrow last one would wait for the
latency of its few sums.
"""

from dataclasses import dataclass

from octavo.targets.isa import Isa
from octavo.targets.kernels.tiling import MAX_ROWS
from octavo.targets.ops.attention import Attention
from octavo.targets.schedule import Schedule

MAX_PANEL = 6
ROW_CYCLES = 40.0  # largest score, total and ratio of a row
WEIGHT_CYCLES = 7.0  # weights of one vector of scores
STORE_CYCLES = 4.0  # one vector of outputs
STEP_CYCLES = 1.0  # loop and addresses of one step
MAX_SLOWDOWN = 1.15  # slower tiles, by the model, are not worth measuring
MIN_TASKS = 12  # whatever number of threads there is, they get about as many


@dataclass(frozen=True)
class Panels:
    """Vectors of columns in panels of two widths, the wide ones first.

    Attributes:
        width: Vectors of a wide panel; the others have one less.
        num_wide: Wide panels, at least 1.
        num_narrow: The others.
    """

    width: int
    num_wide: int
    num_narrow: int

    @property
    def groups(self) -> tuple[tuple[int, int, int], ...]:
        """First vector, panels and vectors of a panel, of the wide and the narrow ones."""
        wide = (0, self.num_wide, self.width)
        narrow = (self.num_wide * self.width, self.num_narrow, self.width - 1)
        return (wide, narrow) if self.num_narrow else (wide,)


def even_panels(vectors: int, most: int) -> Panels:
    """Split vectors into as few panels of at most ``most`` as there can be."""
    count = -(-vectors // most)
    width = -(-vectors // count)
    num_narrow = count * width - vectors
    return Panels(width, count - num_narrow, num_narrow)


@dataclass(frozen=True)
class AttentionTiles:
    """How attention is cut up.

    Attributes:
        rows: Queries of a tile.
        scores: Panels of the keys.
        values: Panels of the features of the values.
        block_tiles: Tiles of one task; the last tiles may repeat earlier ones.
        blocks: Tasks of one head.
    """

    rows: int
    scores: Panels
    values: Panels
    block_tiles: int
    blocks: int


@dataclass(frozen=True)
class AttentionSchedule(Schedule):
    """What tuning may choose; the rest follows.

    Attributes:
        rows: Queries of a tile.
    """

    rows: int


def attention_schedules(op: Attention, isa: Isa) -> list[AttentionSchedule]:
    """Schedules that may be the fastest, the one with the fewest modelled cycles first."""
    costs = {
        rows: _cycles(op, isa, rows)
        for rows in range(1, min(op.rows, MAX_ROWS) + 1)
        if rows == 1 or isa.tile_registers(rows, 1) <= isa.num_registers}
    ranked = sorted(costs, key=lambda rows: (costs[rows], -rows))
    slowest = MAX_SLOWDOWN * costs[ranked[0]]
    return [AttentionSchedule(rows) for rows in ranked if costs[rows] <= slowest]


def tiles_of(op: Attention, isa: Isa, schedule: AttentionSchedule) -> AttentionTiles:
    """The tiles of a schedule."""
    rows = schedule.rows
    tiles = -(-op.rows // rows)
    block_tiles = -(-tiles // min(tiles, -(-MIN_TASKS // op.batch_size)))
    scores, values = _panels(op, isa, rows)
    return AttentionTiles(rows, scores, values, block_tiles, -(-tiles // block_tiles))


def _panels(op: Attention, isa: Isa, rows: int) -> list[Panels]:
    """Panels of scores and of values that leave registers for ``rows`` rows."""
    most = max(
        panel for panel in range(1, MAX_PANEL + 1)
        if panel == 1 or isa.tile_registers(rows, panel) <= isa.num_registers)
    return [even_panels(-(-n // isa.lanes), most) for n in (op.columns, op.width)]


def _cycles(op: Attention, isa: Isa, rows: int) -> float:
    vectors = -(-op.columns // isa.lanes), -(-op.width // isa.lanes)
    steps = -(-op.depth // isa.dot_k), -(-op.columns // isa.dot_k)
    cycles = rows * (ROW_CYCLES + vectors[0] * WEIGHT_CYCLES + vectors[1] * STORE_CYCLES)
    for split, num_steps in zip(_panels(op, isa, rows), steps, strict=True):
        for _, count, width in split.groups:
            cycles += count * (
                num_steps * _step_cycles(isa, rows, width) + isa.pipeline.tile_cycles)
    return cycles * -(-op.rows // rows)


def _step_cycles(isa: Isa, rows: int, width: int) -> float:
    pipeline = isa.pipeline
    dots = rows * width * isa.dot_cost / pipeline.dots_per_cycle
    loads = (rows + width) / pipeline.loads_per_cycle
    return max(dots, loads, pipeline.dot_latency) + STEP_CYCLES
