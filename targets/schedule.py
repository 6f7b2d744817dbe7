"""Loop decisions of one kernel for one operation, and what kernels offer to tuning."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from octavo.targets.isa import Isa
from octavo.targets.kernel import Kernel

Op_contra = TypeVar("Op_contra", contravariant=True)
ScheduleRecord = dict[str, int | str | bool]


@dataclass(frozen=True)
class Schedule:
    """Base of the records that kernels define: numbers, texts and booleans only."""

    def record(self) -> ScheduleRecord:
        """The same as JSON values."""
        return asdict(self)


@runtime_checkable
class Tunable(Kernel[Op_contra], Protocol[Op_contra]):
    """A kernel that can compute an operation with different loops, to the same bits.

    Without a schedule it takes the first of ``schedules``, what the model of the machine
    expects to be fastest.
    """

    def schedules(self, op: Op_contra, isa: Isa) -> Sequence[Schedule]:
        """List all schedules that are worth measuring, the model's choice first."""
        ...

    def with_schedule(self, schedule: Any) -> Self:
        """The same kernel with one of ``schedules`` instead of its own choice."""
        ...


def schedules_of(kernel: Kernel[Any], op: Any, isa: Isa) -> tuple[Schedule, ...]:
    """Schedules of a kernel, the model's choice first; none where there is no choice."""
    return tuple(kernel.schedules(op, isa)) if isinstance(kernel, Tunable) else ()
