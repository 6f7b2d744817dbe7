"""Programs that are built and measured side by side, and which of them is the fastest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from octavo.compiler.devices.measurement import Measurement
from octavo.compiler.lowering.program import Program
from octavo.compiler.selection.candidates import INT8
from octavo.compiler.selection.costs import Assignment, MeasuredProgram, Rounds, is_below_zero


class Bench(Protocol):
    """Builds programs and measures them."""

    def add(self, program: Program) -> int:
        """Build a program; its number."""

    def measure(
        self, numbers: Sequence[int], *, with_steps: bool = True
    ) -> list[Measurement]:
        """Measure programs side by side, one record each."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A program that was measured.

    Attributes:
        name: Of its candidate, or "selected 1", "selected 2", ...
        program: What was built; None where that failed.
        assignment: Candidate of each layer; None of a build that has no such layers.
        number: Of the bench; -1 where it was not built.
        measurement: Of whole runs.
    """

    name: str
    program: Program | None
    assignment: Assignment | None
    number: int
    measurement: Measurement

    @property
    def latency_us(self) -> float:
        """Median of whole runs, microseconds; infinite where it failed."""
        return math.inf if self.measurement.failure else self.measurement.latency_us

    @property
    def is_float(self) -> bool:
        """Whether no layer is computed in integers, in a program that has a choice."""
        return self.assignment is not None and all(
            candidate.placement != INT8 for candidate in self.assignment.values()
        )

    @property
    def measured(self) -> MeasuredProgram | None:
        """What it tells of layers; None where it was not measured, or has no such layers."""
        if self.program is None or self.assignment is None or self.measurement.failure:
            return None
        if not self.measurement.rounds:
            return None
        return MeasuredProgram(
            self.assignment, self.program.steps, _rounds_us(self.measurement))


def fastest(finalists: Sequence[Trial], first: Trial) -> Trial:
    """The fastest; but the usual program, unless another one is faster by more than chance."""
    floats = [t for t in finalists if t.assignment is None and math.isfinite(t.latency_us)]
    # All in float, the float build does better: it has the weights before they were rounded.
    eligible = [t for t in finalists if not (floats and t.is_float)]
    best = min(eligible, key=lambda trial: trial.latency_us)
    usual = next((trial for trial in finalists if trial.name == first.name), best)
    if best.assignment is None or not math.isfinite(usual.latency_us):
        return best
    pairs = zip(best.measurement.medians_us, usual.measurement.medians_us, strict=False)
    if is_below_zero([own - other for own, other in pairs]):
        return best
    # Not slower than the float build, whatever else is sure.
    return min([usual, *floats], key=lambda trial: trial.latency_us)


def _rounds_us(measurement: Measurement) -> Rounds:
    """Median of each step in each round, (steps, rounds)."""
    return np.stack([np.median(r.times.steps_us, axis=1) for r in measurement.rounds], axis=1)
