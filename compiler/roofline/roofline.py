"""Measured steps against their bounds: rates, efficiency, and what could be won."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from octavo.compiler.roofline.bounds import step_bound
from octavo.compiler.roofline.peaks import Peaks
from octavo.compiler.roofline.traffic import Traffic


@dataclass(frozen=True)
class MeasuredStep:
    """A step and its time.

    Attributes:
        macs: Multiply-accumulates.
        placement: "int8", "bfloat16" or "float32".
        traffic: Bytes.
        latency_us: Median, microseconds.
    """

    macs: int
    placement: str
    traffic: Traffic
    latency_us: float


@dataclass(frozen=True)
class StepRoofline:
    """Where a step stands.

    Attributes:
        num_bytes: What it must read and write.
        macs_per_byte: Arithmetic intensity.
        gmacs_per_s: Multiply-accumulates, 10**9 a second.
        gbytes_per_s: Bytes, 10**9 a second.
        peak_share: Of the machine's peak in its arithmetic, with all threads.
        roof_us: The least time that it could take, microseconds.
        roof_share: ``roof_us`` over the measured time; above 1 where the peak was measured too
            low.
        bound_by: "compute", "L1", "L2", "L3", "memory" or "overhead".
        gain_us: Time above the roof, at least 0.
    """

    num_bytes: int
    macs_per_byte: float
    gmacs_per_s: float
    gbytes_per_s: float
    peak_share: float
    roof_us: float
    roof_share: float
    bound_by: str
    gain_us: float


@dataclass(frozen=True)
class Roofline:
    """A measured program against the machine.

    Attributes:
        peaks: Of one thread, and of all threads where there are more; the last one's roofs are
            drawn.
        steps: In run order.
    """

    peaks: tuple[Peaks, ...]
    steps: tuple[StepRoofline, ...]

    @property
    def gain_us(self) -> float:
        """What all steps together could win."""
        return sum(step.gain_us for step in self.steps)


def measured_roofline(
    steps: Iterable[MeasuredStep], program_bytes: int, peaks: Sequence[Peaks]
) -> Roofline:
    """Compare measured steps with their bounds.

    Args:
        steps: In run order.
        program_bytes: Weights and arena of the whole program.
        peaks: Of the machine; by number of threads, not empty.
    """
    found = tuple(_place(step, program_bytes, peaks) for step in steps)
    return Roofline(tuple(peaks), found)


def _place(step: MeasuredStep, program_bytes: int, peaks: Sequence[Peaks]) -> StepRoofline:
    bound = step_bound(step.macs, step.placement, step.traffic, program_bytes, peaks)
    num_bytes = step.traffic.num_bytes
    # A step that is over before the clock ticks took some time all the same.
    latency_us = step.latency_us or bound.roof_us
    gmacs_per_s = step.macs / latency_us * 1e-3
    return StepRoofline(
        num_bytes=num_bytes,
        macs_per_byte=step.macs / num_bytes if num_bytes else 0.0,
        gmacs_per_s=gmacs_per_s,
        gbytes_per_s=num_bytes / latency_us * 1e-3,
        peak_share=gmacs_per_s / peaks[-1].compute(step.placement).best,
        roof_us=bound.roof_us,
        roof_share=bound.roof_us / latency_us,
        bound_by=bound.bound_by,
        gain_us=max(0.0, latency_us - bound.roof_us),
    )
