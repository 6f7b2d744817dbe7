"""What the user wants of tuning, and whether this machine can do it."""

from dataclasses import dataclass

from octavo.errors import TargetError
from octavo.targets.base import Target
from octavo.targets.host import missing_flags


@dataclass(frozen=True)
class TuningOptions:
    """What the user wants of tuning.

    Attributes:
        measure: Measure what the store does not know yet.
        reuse: Take what the store knows; ``measure`` needs it.
        budget_s: Begin no measurement after so many seconds; None for no limit.
    """

    measure: bool = False
    reuse: bool = True
    budget_s: float | None = None

    def __post_init__(self) -> None:
        if self.measure and not self.reuse:
            raise ValueError("tune measures to use what it finds: not without use_tuned")
        if self.budget_s is not None and not (self.measure and self.budget_s > 0):
            raise ValueError("tune_seconds is a positive time, and goes with tune")


def check_tunable(target: Target) -> None:
    """Refuse to tune for a target whose code this machine cannot run.

    Raises:
        TargetError: Saying what is missing.
    """
    missing = missing_flags(target)
    if missing is None:
        raise TargetError(f"--tune: this machine does not run code for {target.name}")
    if missing:
        raise TargetError(
            f"--tune: this CPU does not run code for {target.name}: it lacks"
            f" {', '.join(sorted(missing))}"
        )
