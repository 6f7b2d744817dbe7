"""A deployment whose rounds are being measured, one after the other."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.devices.base import TIMEOUT_S, Deployment
from octavo.compiler.devices.inference import send_inputs
from octavo.compiler.devices.latency import SAMPLES, read_disturbance, read_times
from octavo.compiler.devices.measurement import TOLERANCE, Measurement, Round
from octavo.compiler.devices.median import MIN_VALUES
from octavo.errors import DeviceError

SECONDS = 10.0
ROUND_S = 0.2  # of whole runs, and again of runs with clocks between the steps
MAX_RUNS = 200  # of a round: more would tell nothing new of it
PROBE_RUNS = 3
SLOWDOWN, GRACE_S = 20, 10.0  # a round that takes so much longer than those before it hangs


@dataclass(frozen=True)
class RoundPlan:
    """How to measure.

    Attributes:
        runs: Whole runs of each program, and as many with clocks between the steps, over all
            rounds together; None: until every median is known to ``tolerance``.
        seconds: Without ``runs``, no round begins after so many seconds; each program has one.
        warmup: Runs before the measured ones of each round; without ``runs`` not more of them.
        num_threads: Threads of the parallel kernels, 1..256.
        cpus: CPUs that the program may use; empty: all.
        cool_down_s: Seconds of rest between two rounds.
        tolerance: Half of the interval of the median, as a part of the median.
        with_steps: Whether steps are timed too.
        timeout_s: A round is ended and fails after so many seconds.
    """

    runs: int | None = None
    seconds: float = SECONDS
    warmup: int = 5
    num_threads: int = 1
    cpus: tuple[int, ...] = ()
    cool_down_s: float = 0.0
    tolerance: float = TOLERANCE
    with_steps: bool = True
    timeout_s: float = TIMEOUT_S


class RoundProgram:
    """A program and what was measured of it.

    Attributes:
        deployment: The program.
        measurement: So far.
    """

    def __init__(
        self, deployment: Deployment, plan: RoundPlan, earlier: Measurement
    ) -> None:
        """Take over what was measured earlier; nothing runs yet."""
        self.deployment = deployment
        self.measurement = Measurement(earlier.rounds)
        self._plan = plan
        self._arguments: list[str] = []
        self._run_counts: list[int] = []  # of the rounds to come, with a fixed number of runs
        self._num_runs = 1  # of a round, without
        self._run_s = 0.0  # of the last process
        self._longest_s = 0.0  # of the processes so far

    @property
    def is_wanted(self) -> bool:
        """Whether it can have another round."""
        return not self.measurement.failure and (
            self._plan.runs is None or bool(self._run_counts))

    def prepare(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Send the inputs; find out how many runs make a round. A failure is kept."""
        try:
            self._prepare(inputs)
        except DeviceError as error:
            self._fail(error)

    def measure(self) -> Round | None:
        """Measure a round more and keep it, or keep why there is none."""
        num_runs = self._run_counts.pop() if self._plan.runs is not None else self._num_runs
        warmup = self._plan.warmup
        if self._plan.runs is None:
            warmup = min(warmup, num_runs)
        try:
            measured = self._run(num_runs, warmup, with_steps=self._plan.with_steps)
        except DeviceError as error:
            self._fail(error)
            return None
        known = self.measurement
        self.measurement = replace(known, rounds=(*known.rounds, measured))
        return measured

    def _prepare(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        plan = self._plan
        self._arguments = ["--threads", str(plan.num_threads), "--json", "--samples", SAMPLES]
        if plan.cpus:
            self._arguments += ["--cpus", ",".join(map(str, plan.cpus))]
        self._arguments += send_inputs(self.deployment, inputs)
        if plan.runs is not None:
            self._run_counts = _shares(plan.runs - self.measurement.runs_us.size)
            return
        # Also reads the weights for the first time, and lets the processor leave its sleep.
        self._run(PROBE_RUNS, 1, with_steps=False)
        share_s = min(ROUND_S, plan.seconds / (4 * MIN_VALUES))
        self._num_runs = int(np.clip(round(share_s / max(self._run_s, 1e-9)), 1, MAX_RUNS))

    def _run(self, num_runs: int, warmup: int, *, with_steps: bool) -> Round:
        arguments = [*self._arguments, "--runs", str(num_runs), "--warmup", str(warmup)]
        if with_steps:
            arguments.append("--profile")
        device = self.deployment.device
        start_s = time.monotonic()
        printed = self.deployment.run(arguments, self._limit_s(num_runs, warmup))
        self._longest_s = max(self._longest_s, time.monotonic() - start_s)
        disturbance = read_disturbance(device, printed)
        computed_s = self.measurement.computed_s + disturbance.computed_s
        self.measurement = replace(self.measurement, computed_s=computed_s)
        measured = Round(read_times(device, self.deployment.fetch(SAMPLES)), disturbance)
        self._run_s = measured.latency_us * 1e-6
        return measured

    def _limit_s(self, num_runs: int, warmup: int) -> float:
        """When a process hangs: once one has ended, long before the plan's own limit."""
        if not self._longest_s:
            return self._plan.timeout_s
        expected_s = max(self._longest_s, (2 * num_runs + warmup) * self._run_s)
        return min(self._plan.timeout_s, SLOWDOWN * expected_s + GRACE_S)

    def _fail(self, error: DeviceError) -> None:
        self.measurement = replace(self.measurement, failure=str(error))


def _shares(num_runs: int) -> list[int]:
    """Runs of each round: as equal as possible, in as many rounds as an interval needs."""
    num_rounds = min(MIN_VALUES, max(num_runs, 0))
    return [(num_runs + index) // num_rounds for index in range(num_rounds)]
