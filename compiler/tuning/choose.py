"""Pick a schedule from timings: the fastest, if it is faster by more than chance."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.tuning.records import Choice, Trial, TuningTask
from octavo.compiler.tuning.trials import Timing

MIN_GAIN = 0.01  # of the time of the model's choice; less is not worth another schedule
NUM_ERRORS = 3.0  # standard errors of the difference that a gain must exceed
# Standard deviation of a normal distribution from its quartiles, and of its median.
IQR_PER_DEVIATION = 1.349
MEDIAN_ERROR = 1.2533


def trials_of(task: TuningTask, timings: Sequence[Timing]) -> list[Trial]:
    """One record for each candidate of a task."""
    trials = []
    for schedule, timing in zip(task.schedules, timings, strict=True):
        record = schedule.record()
        if timing.error:
            trials.append(Trial(task.key, record, error=timing.error))
            continue
        low, middle, high = np.percentile(timing.latencies_us, [25, 50, 75]).tolist()
        trials.append(
            Trial(task.key, record, middle, low, high, timing.latencies_us.size)
        )
    return trials


def choose(task: TuningTask, timings: Sequence[Timing]) -> Choice | None:
    """Conclude from the timings of a task.

    The fastest of many noisy candidates looks faster than it is. So the even runs say which
    one is compared, and the odd ones whether it is faster than the model's choice.

    Args:
        task: The candidates, the model's choice first.
        timings: One for each candidate.

    Returns:
        None where the model's choice itself failed: there is nothing to compare with.
    """
    if timings[0].error:
        return None
    good = [i for i, timing in enumerate(timings) if not timing.error]
    best = min(good, key=lambda i: float(np.median(timings[i].latencies_us[::2])))
    ours, theirs = (timings[i].latencies_us[1::2] for i in (best, 0))
    if best != 0 and not _is_faster(ours, theirs):
        best, ours = 0, theirs
    return Choice(
        task.key,
        task.schedules[best].record(),
        float(np.median(ours)),
        task.schedules[0].record(),
        float(np.median(theirs)),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _is_faster(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> bool:
    median = float(np.median(theirs))
    gain = median - float(np.median(ours))
    noise = float(np.hypot(_median_error(ours), _median_error(theirs)))
    return gain > max(MIN_GAIN * median, NUM_ERRORS * noise)


def _median_error(latencies_us: NDArray[np.float64]) -> float:
    low, high = np.percentile(latencies_us, [25, 75])
    deviation = (high - low) / IQR_PER_DEVIATION
    return float(MEDIAN_ERROR * deviation / np.sqrt(latencies_us.size))
