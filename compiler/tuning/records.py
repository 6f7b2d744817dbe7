"""What tuning passes on and stores: tasks, trials and choices."""

from dataclasses import dataclass

from octavo.compiler.lowering.kernel_call import KernelCall
from octavo.compiler.measurements.key import TuningKey
from octavo.targets.schedule import Schedule, ScheduleRecord


@dataclass(frozen=True, eq=False)
class TuningTask:
    """A kernel with an operation, wherever it occurs in a program.

    Attributes:
        key: What its measurements belong to.
        call: One of its calls.
        schedules: Candidates, the model's choice first; at least two.
        num_calls: Calls in the program.
        macs: Multiply-accumulates of all its calls.
    """

    key: TuningKey
    call: KernelCall
    schedules: tuple[Schedule, ...]
    num_calls: int
    macs: int


@dataclass(frozen=True)
class Trial:
    """One candidate, timed.

    Attributes:
        key: Kernel, operation and context.
        schedule: The candidate.
        latency_us: Median over the runs, microseconds; None where it failed.
        low_us: 25th percentile.
        high_us: 75th percentile.
        num_runs: Runs behind them.
        error: Why it failed, or "".
    """

    key: TuningKey
    schedule: ScheduleRecord
    latency_us: float | None = None
    low_us: float | None = None
    high_us: float | None = None
    num_runs: int = 0
    error: str = ""


@dataclass(frozen=True)
class Choice:
    """The schedule that measurement found for a key.

    Attributes:
        key: Kernel, operation and context.
        schedule: The fastest, or the model's choice where nothing is clearly faster.
        latency_us: Its median, microseconds, over runs that had no part in choosing it.
        default: The model's choice.
        default_latency_us: The same for the model's choice, over the same runs.
        measured_at: UTC, ISO 8601.
    """

    key: TuningKey
    schedule: ScheduleRecord
    latency_us: float
    default: ScheduleRecord
    default_latency_us: float
    measured_at: str
