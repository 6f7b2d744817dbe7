"""How fast a kind of core runs vector code: what the choice of tiles needs to know."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Rates of one core; the defaults are x86 cores since Haswell and Zen 2.

    What is not a rate of the hardware fits the times of benchmarks/tiles.py.

    Attributes:
        dots_per_cycle: Vector multiplications.
        loads_per_cycle: Vector loads.
        dot_latency: Cycles until a sum can be added to again.
        issue_per_cycle: Vector instructions of any kind.
        far_weight_cycles: What a weight vector from the second-level cache costs more.
        near_panel_bytes: Larger panels of weights do not stay in the first level.
        spill_cycles: Storing and loading what has no register, for each tile.
        epilogue_cycles: Of one vector of results, as far as it does not run beside dots.
        residual_cycles: The same of a residual.
        tile_cycles: Addresses and loop of one tile.
        row_cycles: Addresses of one row of a tile.
        part_cycles: Storing the end of a row that is no whole register of bytes.
    """

    dots_per_cycle: float = 2.0
    loads_per_cycle: float = 2.0
    dot_latency: float = 4.2
    issue_per_cycle: float = float("inf")
    far_weight_cycles: float = 0.25
    near_panel_bytes: int = 24 * 1024
    spill_cycles: float = 1.4
    epilogue_cycles: float = 0.8
    residual_cycles: float = 1.0
    tile_cycles: float = 2.0
    row_cycles: float = 0.0
    part_cycles: float = 0.0


WIDE_CORE = Pipeline()
