"""Whether a measurement can be repeated, and how one knows.

Three kinds of evidence: the rounds among themselves; what the bench program noticed while it
ran (a loop of fixed work, waiting for a processor); what the system counted for all programs.
Each alone misses some noise: rounds that are all slowed down alike agree with each other, and
a neighbour that only fills the caches takes no processor away.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from octavo.compiler.devices.conditions import Conditions
from octavo.compiler.devices.cores import cpus_text
from octavo.compiler.devices.measurement import TOLERANCE, Measurement
from octavo.compiler.devices.median import MIN_VALUES

REFERENCE_SPREAD = 0.03  # of the median over the best; on a quiet machine it is below 1%
WAITED_SHARE = 0.01  # of the runs' time
# Of each CPU that the program leaves free, or of one: a system that does nothing has 0.05.
OTHER_SHARE = 0.15
STOLEN_SHARE = 0.01  # of the time of the CPUs
KHZ_PER_GHZ = 1e6


@dataclass(frozen=True)
class Surroundings:
    """A device around a measurement.

    Attributes:
        before: Its state when the measurement began.
        after: Its state when it ended.
        elapsed_s: Between them.
        num_threads: Of the program.
        cpus: That it was kept on; empty: all.
        best_reference_us: Typical time of the loop of fixed work in the best round that is
            known of this device; None where none is known.
    """

    before: Conditions
    after: Conditions
    elapsed_s: float
    num_threads: int = 1
    cpus: tuple[int, ...] = ()
    best_reference_us: float | None = None


@dataclass(frozen=True)
class Noise:
    """Why another measurement may differ by more than 5%: a line for each sign of it.

    Attributes:
        of_rounds: What the rounds say of each other.
        of_program: What the bench program noticed while it ran.
        of_system: What the system counted.
        notes: No noise by themselves, but the user may want to change them on the device.
    """

    of_rounds: tuple[str, ...] = ()
    of_program: tuple[str, ...] = ()
    of_system: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """All lines but the notes."""
        return (*self.of_rounds, *self.of_program, *self.of_system)

    @property
    def is_steady(self) -> bool:
        """Whether another measurement of the same program will agree within 5%."""
        return not self.reasons


def judge(
    measured: Measurement, around: Surroundings, tolerance: float = TOLERANCE
) -> Noise:
    """Say whether a measurement can be relied on.

    Args:
        measured: All rounds of one program.
        around: The device before and after them.
        tolerance: Half of the interval of the median, as a part of the median.
    """
    return Noise(
        of_rounds=tuple(_of_rounds(measured, tolerance)),
        of_program=tuple(_of_program(measured, around)),
        of_system=tuple(_of_system(measured, around)),
        notes=tuple(_notes(around)),
    )


def _of_rounds(measured: Measurement, tolerance: float) -> Iterator[str]:
    interval = measured.interval_us
    if interval is None:
        yield (f"{len(measured.rounds)} rounds are too few to know the median:"
               f" at least {MIN_VALUES} say how far it moves")
    elif not measured.is_tight(tolerance):
        half = (interval[1] - interval[0]) / 2 / measured.latency_us
        yield f"rounds differ: the median is known to {half:.1%} only"


def _of_program(measured: Measurement, around: Surroundings) -> Iterator[str]:
    references = [
        time for r in measured.rounds
        if (time := r.disturbance.typical_reference_us) is not None]
    if references:
        best = min(filter(None, (*references, around.best_reference_us)), default=0.0)
        slower = float(np.median(references)) / best - 1 if best > 0 else 0.0
        if slower > REFERENCE_SPREAD:
            yield (f"a loop of fixed work took {slower:.0%} longer than at its best:"
                   " the clock changes, or others share the processor")
    waited = [r.disturbance.waited_share for r in measured.rounds]
    if waited and float(np.mean(waited)) > WAITED_SHARE:
        taken = sum(r.disturbance.num_preemptions for r in measured.rounds)
        yield (f"the program waited for a processor in {float(np.mean(waited)):.0%} of the"
               f" time, which was taken from it {taken} times")


def _of_system(measured: Measurement, around: Surroundings) -> Iterator[str]:
    before, after, elapsed_s = around.before, around.after, around.elapsed_s
    if not (before.num_cpus and elapsed_s > 0):
        return
    others = (after.busy_s - before.busy_s - measured.computed_s) / elapsed_s
    free = max(before.num_cpus - around.num_threads, 1)
    if others > OTHER_SHARE * free:
        yield f"other programs kept {others:.1f} of {before.num_cpus} CPUs at work meanwhile"
    stolen = (after.stolen_s - before.stolen_s) / elapsed_s / before.num_cpus
    if stolen > STOLEN_SHARE:
        yield f"the host of this virtual machine gave {stolen:.0%} of its time to others"
    for sooner, later in zip(before.cpus, after.cpus, strict=False):
        if (later.num_throttles or 0) > (sooner.num_throttles or 0):
            yield f"CPU {later.cpu} was slowed down for its temperature"
            break
    if _least_limit(after, around.cpus) < _least_limit(before, around.cpus):
        yield (f"the highest clock that is allowed fell from"
               f" {_least_limit(before, around.cpus) / KHZ_PER_GHZ:.2f} to"
               f" {_least_limit(after, around.cpus) / KHZ_PER_GHZ:.2f} GHz")
    for zone in after.zones:
        if zone.trip_c is not None and zone.temperature_c >= zone.trip_c:
            yield (f"{zone.name} is at {zone.temperature_c:.0f} degrees C: from"
                   f" {zone.trip_c:.0f} on the system slows the processor down")


def _least_limit(conditions: Conditions, cpus: tuple[int, ...]) -> float:
    limits = [
        c.limit_khz for c in conditions.cpus
        if c.limit_khz is not None and (not cpus or c.cpu in cpus)]
    return min(limits, default=0.0)


def _notes(around: Surroundings) -> Iterator[str]:
    used = [c for c in around.after.cpus if not around.cpus or c.cpu in around.cpus]
    for governor in sorted({c.governor for c in used} - {"", "performance"}):
        cpus = cpus_text([c.cpu for c in used if c.governor == governor])
        yield (f"the clock of CPUs {cpus} is set by the governor {governor}, not performance:"
               " it may change while runs are measured")
    limited = [c for c in used if c.limit_khz and c.max_khz and c.limit_khz < c.max_khz]
    if limited:
        yield (f"the clock of CPUs {cpus_text([c.cpu for c in limited])} is limited to"
               f" {min(c.limit_khz or 0 for c in limited) / KHZ_PER_GHZ:.2f} of"
               f" {max(c.max_khz or 0 for c in limited) / KHZ_PER_GHZ:.2f} GHz")
