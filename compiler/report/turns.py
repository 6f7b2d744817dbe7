"""Two programs that were measured in turns: what differs between rounds that are neighbours.

What changes on the machine, its clock and other work above all, meets both programs of a pair
of rounds alike and cancels in their difference. So smaller differences can be told from noise
than between two profiles, one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.report.comparison import CLOCK_US, Span, Verdict

NOISE = 0.02  # of the larger time: what memory and code by chance get of the caches


@dataclass(frozen=True)
class RoundMedians:
    """One program.

    Attributes:
        runs_us: Median of the whole runs of each round.
        steps_us: For each step, its median in each round.
    """

    runs_us: tuple[float, ...]
    steps_us: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Turns:
    """Both programs, the n-th round of one beside the n-th of the other."""

    before: RoundMedians
    after: RoundMedians

    @property
    def num_rounds(self) -> int:
        """Of each program, as far as both have them."""
        return min(len(self.before.runs_us), len(self.after.runs_us))

    def run_verdict(self) -> Verdict:
        """Of the whole run."""
        return self._verdict(np.array(self.before.runs_us), np.array(self.after.runs_us))

    def layer_verdict(self, before: Sequence[int], after: Sequence[int]) -> Verdict:
        """Of a layer, given the indices of its steps, some on either side."""
        return self._verdict(_sum(self.before, before), _sum(self.after, after))

    def speedup(self) -> Span | None:
        """Time before over time after, with 95% confidence; None with too few rounds."""
        count = self.num_rounds
        ratios = np.array(self.before.runs_us[:count]) / np.array(self.after.runs_us[:count])
        interval = _interval(ratios)
        return None if interval is None else Span(float(np.median(ratios)), *interval)

    def _verdict(self, before: NDArray[np.float64], after: NDArray[np.float64]) -> Verdict:
        """A difference counts when it is not too small and nearly all pairs agree on it."""
        count = self.num_rounds
        won = before[:count] - after[:count]
        interval = _interval(won)
        largest_us = max(np.median(before[:count]), np.median(after[:count]))
        limit_us = max(CLOCK_US, NOISE * largest_us)
        if interval is None or abs(np.median(won)) <= limit_us:
            return Verdict.NOISE
        if interval[0] > 0:
            return Verdict.FASTER
        return Verdict.SLOWER if interval[1] < 0 else Verdict.NOISE


def _sum(program: RoundMedians, steps: Sequence[int]) -> NDArray[np.float64]:
    total: NDArray[np.float64] = np.sum([program.steps_us[i] for i in steps], axis=0)
    return total


def _interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    # The package of the devices brings the compiler along, which other verbs do without.
    from octavo.compiler.devices.median import median_interval

    return median_interval(values.tolist())
