"""Measured steps with what follows from their times, in the order that is asked for."""

from dataclasses import dataclass

from octavo.compiler.report.records import LatencyRecord, Report, StepRecord
from octavo.compiler.roofline.roofline import StepRoofline

BY_TIME, BY_ORDER = "time", "order"


@dataclass(frozen=True)
class MeasuredStep:
    """A step and its time.

    Attributes:
        step: What it is.
        latency: What was measured.
        roof: Where it stands against the machine's peaks; None where those are not known.
        cumulative: Share of this step and of all before it in the list, in [0, 1].
    """

    step: StepRecord
    latency: LatencyRecord
    roof: StepRoofline | None
    cumulative: float

    @property
    def gmacs_per_s(self) -> float:
        """Multiply-accumulates, 10**9 a second; 0 for a step without or without a time."""
        return self._rate(self.step.macs)

    @property
    def gbytes_per_s(self) -> float:
        """Bytes that it must read and write, each once, 10**9 a second."""
        return self._rate(self.step.traffic.num_bytes)

    def _rate(self, count: int) -> float:
        return count / self.latency.median_us * 1e-3 if self.latency.median_us else 0.0


def measured_steps(report: Report, order: str = BY_ORDER) -> list[MeasuredStep]:
    """The steps of a report; empty where nothing was measured.

    Args:
        report: With latencies.
        order: ``BY_ORDER``, as they run, or ``BY_TIME``, the slowest first.
    """
    roofs = report.roofline.steps if report.roofline else (None,) * len(report.latencies)
    rows = list(zip(report.steps, report.latencies, roofs, strict=False))
    if order == BY_TIME:
        rows.sort(key=lambda row: (-row[1].median_us, row[0].index))
    found, cumulative = [], 0.0
    for step, latency, roof in rows:
        cumulative += latency.share
        found.append(MeasuredStep(step, latency, roof, min(cumulative, 1.0)))
    return found
