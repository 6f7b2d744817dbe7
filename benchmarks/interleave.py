"""Time several programs against each other on a machine whose speed drifts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Wall-clock time of one inference, microseconds.

    Attributes:
        median_us: Half of the runs were faster.
        low_us: First quartile.
        high_us: Third quartile.
        min_us: Fastest run.
        num_runs: Timed runs, warm-up not counted.
    """

    median_us: float
    low_us: float
    high_us: float
    min_us: float
    num_runs: int


def measure_interleaved(
    programs: Mapping[str, Callable[[], object]],
    *,
    num_warmup: int = 3,
    min_runs: int = 10,
    budget_s: float = 10.0,
    burst: int = 1,
    turn_s: float = 0.0,
    settle_s: float = 0.0,
) -> dict[str, Latency]:
    """Run the programs in turn, again and again: drift meets all of them alike.

    Args:
        programs: Name to a function that runs one inference.
        num_warmup: Untimed rounds.
        min_runs: Timed rounds, at least.
        budget_s: Rounds go on until this many seconds have passed.
        burst: Timed runs of a program in each round, at least.
        turn_s: A program's runs of a round go on until this many seconds have passed. Such a
            turn begins with one untimed run, which fetches back what the others drove out of
            the caches.
        settle_s: Pause before a program's turn, followed by one untimed run. Worker threads of
            some runtimes spin for a while after a run, on the cores of whoever is next:
            programs with several threads need a pause.

    Returns:
        The latency of each program.
    """
    times_us: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(num_warmup):
        for run in programs.values():
            run()
    deadline = time.perf_counter() + budget_s
    num_rounds = 0
    while num_rounds < min_runs or time.perf_counter() < deadline:
        for name, run in programs.items():
            if settle_s:
                time.sleep(settle_s)
            if settle_s or turn_s:
                run()
            turn_end, num_timed = time.perf_counter() + turn_s, 0
            while num_timed < burst or time.perf_counter() < turn_end:
                start = time.perf_counter_ns()
                run()
                times_us[name].append((time.perf_counter_ns() - start) / 1e3)
                num_timed += 1
        num_rounds += 1
    return {name: _summarise(values) for name, values in times_us.items()}


def take_turns(
    programs: Mapping[str, Callable[[], float]], *, budget_s: float, min_rounds: int
) -> dict[str, list[float]]:
    """The same for programs that time themselves; each runs once before that.

    Args:
        programs: Name to a function that returns the time of one run.
        budget_s: Rounds go on until this many seconds have passed.
        min_rounds: Rounds, at least.

    Returns:
        The times of each program, one of each round.
    """
    times: dict[str, list[float]] = {name: [] for name in programs}
    for run in programs.values():
        run()
    deadline, num_rounds = time.perf_counter() + budget_s, 0
    while num_rounds < min_rounds or time.perf_counter() < deadline:
        for name, run in programs.items():
            times[name].append(run())
        num_rounds += 1
    return times


def _summarise(times_us: list[float]) -> Latency:
    low, median, high = np.percentile(times_us, (25, 50, 75))
    return Latency(
        median_us=float(median),
        low_us=float(low),
        high_us=float(high),
        min_us=min(times_us),
        num_runs=len(times_us),
    )
