"""What is known of a program's time: rounds, and why there are no more of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.devices.latency import DeviceTimes, Disturbance
from octavo.compiler.devices.median import median_interval

TOLERANCE = 0.02  # of a median: two that are known so well are within 4% of each other


@dataclass(frozen=True)
class Round:
    """What one process measured.

    Attributes:
        times: Of its runs and steps.
        disturbance: What it noticed of other work.
    """

    times: DeviceTimes
    disturbance: Disturbance = field(default_factory=Disturbance)

    @property
    def latency_us(self) -> float:
        """Median of the whole runs, microseconds."""
        return float(np.median(self.times.runs_us))


@dataclass(frozen=True)
class Measurement:
    """What is known of one program.

    Attributes:
        rounds: In the order that they were measured.
        failure: Why there are no more of them; empty where nothing failed.
        computed_s: Seconds that the program had processors for what was measured now, apart
            from earlier rounds; with runs that found out how many make a round.
    """

    rounds: tuple[Round, ...] = ()
    failure: str = ""
    computed_s: float = 0.0

    @property
    def runs_us(self) -> NDArray[np.float64]:
        """Whole runs of all rounds, microseconds, (runs,)."""
        return np.concatenate([np.empty(0), *(r.times.runs_us for r in self.rounds)])

    @property
    def steps_us(self) -> NDArray[np.float64]:
        """Each step in all rounds, microseconds, (steps, runs)."""
        if not self.rounds:
            return np.empty((0, 0))
        return np.concatenate([r.times.steps_us for r in self.rounds], axis=1)

    @property
    def latency_us(self) -> float:
        """Median of the rounds' medians, microseconds; infinite without a round."""
        return float(np.median(self.medians_us)) if self.rounds else math.inf

    @property
    def medians_us(self) -> Sequence[float]:
        """Median of each round's whole runs, microseconds."""
        return [r.latency_us for r in self.rounds]

    @property
    def interval_us(self) -> tuple[float, float] | None:
        """Where the median is with 95% confidence; None with too few rounds to say."""
        return median_interval(self.medians_us)

    def is_tight(self, tolerance: float = TOLERANCE) -> bool:
        """Whether half of the interval is within a part of the median."""
        interval = self.interval_us
        return (
            interval is not None
            and interval[1] - interval[0] <= 2 * tolerance * self.latency_us
        )
