"""Time several programs against each other on a machine whose speed drifts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from octavo.compiler.bench.turn import time_turn


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
        turn_s: Length of a program's turn, see ``time_turn``.
        settle_s: Pause before it.

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
            times_us[name] += time_turn(run, burst=burst, turn_s=turn_s, settle_s=settle_s)
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
