"""Measured steps as the command prints them."""

from collections.abc import Sequence

from octavo.compiler.cli.fitting_table import Column, FittingTable, Named
from octavo.compiler.report.measured_steps import MeasuredStep
from octavo.compiler.report.units import count_text, size_text, time_text

_STEP = Named[MeasuredStep](
    header="step",
    name=lambda row: row.step.name,
    detail_header="kernel",
    detail=lambda row: row.step.variant,
    number=lambda row: row.step.index,
)
_TIMES: tuple[Column[MeasuredStep], ...] = (
    Column("p50", lambda row: time_text(row.latency.median_us)),
    Column("p95", lambda row: time_text(row.latency.p95_us)),
    Column("share", lambda row: f"{row.latency.share:.1%}"),
    Column("cum.", lambda row: f"{row.cumulative:.0%}"),
    # Without products there is no rate of them, nor a peak to compare it with.
    Column("GMAC/s", lambda row: _rate_text(row.gmacs_per_s) if row.step.macs else ""),
    Column("GB/s", lambda row: _rate_text(row.gbytes_per_s)),
)
_ROOF: Column[MeasuredStep] = Column(
    "roof", lambda row: f"{row.roof.roof_share:.0%}" if row.roof else ""
)
_BOUND: Column[MeasuredStep] = Column(
    "bound by", lambda row: row.roof.bound_by if row.roof else "", "left"
)
_WORK: tuple[Column[MeasuredStep], ...] = (
    Column("arithmetic", lambda row: row.step.placement, "left"),
    Column("MACs", lambda row: count_text(row.step.macs)),
    Column("bytes", lambda row: size_text(row.step.traffic.num_bytes)),
)


def steps_table(
    rows: Sequence[MeasuredStep], *, is_wide: bool = False
) -> FittingTable[MeasuredStep]:
    """A table of steps.

    Args:
        rows: In the order of the lines.
        is_wide: Whole names, and columns for the arithmetic and the work where there is room.
    """
    numbers: tuple[Column[MeasuredStep], ...] = _TIMES
    bound: tuple[Column[MeasuredStep], ...] = ()
    if any(row.roof for row in rows):
        numbers, bound = (*_TIMES, _ROOF), (_BOUND,)
    layouts = [(*numbers, *bound), numbers]
    if is_wide:
        layouts.insert(0, (*_WORK, *numbers, *bound))
    return FittingTable(rows, _STEP, layouts, is_wide=is_wide)


def _rate_text(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 99.95 else f"{rate:.1f}"
