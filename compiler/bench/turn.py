"""One program's turn: its runs until another one is next."""

import time

from octavo.compiler.bench.program import Run


def time_turn(
    run: Run, *, burst: int = 1, turn_s: float = 0.0, settle_s: float = 0.0
) -> list[float]:
    """Time the runs of a turn.

    Args:
        run: Runs one inference.
        burst: Timed runs, at least.
        turn_s: Runs go on until this many seconds have passed. Such a turn begins with one
            untimed run, which fetches back what the others drove out of the caches.
        settle_s: Pause before the turn, followed by one untimed run. Worker threads of some
            runtimes spin for a while after a run, on the cores of whoever is next: programs
            with several threads need a pause.

    Returns:
        The times, microseconds.
    """
    if settle_s:
        time.sleep(settle_s)
    if settle_s or turn_s:
        run()
    times_us: list[float] = []
    turn_end = time.perf_counter() + turn_s
    while len(times_us) < burst or time.perf_counter() < turn_end:
        start_ns = time.perf_counter_ns()
        run()
        times_us.append((time.perf_counter_ns() - start_ns) / 1e3)
    return times_us
