"""One way to compute an operation: a kernel of the library with its loop decisions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octavo.targets.kernel import Kernel
from octavo.targets.library import able_kernels, select
from octavo.targets.schedule import Schedule, ScheduleRecord, schedules_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from octavo.targets.isa import Isa


@dataclass(frozen=True, eq=False)
class Implementation:
    """A kernel and a schedule.

    Attributes:
        kernel: Without a schedule of its own.
        schedule: Loop decisions; None where the kernel has none to make.
    """

    kernel: Kernel[Any]
    schedule: Schedule | None = None

    @property
    def record(self) -> tuple[str, ScheduleRecord | None]:
        """The same as JSON values: equal records are equal implementations."""
        return self.kernel.name, None if self.schedule is None else self.schedule.record()

    def scheduled(self) -> Kernel[Any]:
        """The kernel, with the schedule."""
        if self.schedule is None:
            return self.kernel
        kernel: Any = self.kernel
        scheduled: Kernel[Any] = kernel.with_schedule(self.schedule)
        return scheduled


def implementations(
    op: Any, isa: "Isa", arrays: "Mapping[str, NDArray[Any]] | None" = None
) -> tuple[Implementation, ...]:
    """List everything that computes an operation to the same bits.

    Args:
        op: An operation record of ``octavo.targets.ops``.
        isa: Instructions.
        arrays: The operation's constants by name; without them no kernel is listed that
            depends on them.

    Returns:
        What the library itself takes comes first, then its other schedules, then the other
        kernels with theirs, those included that their models expect to be slower.

    Raises:
        LoweringError: Nothing computes it.
    """
    chosen = select(op, isa, arrays)
    found = list(_with_schedules(chosen, op, isa))
    for kernel in able_kernels(op, isa, arrays):
        if kernel.name != chosen.name:
            found.extend(_with_schedules(kernel, op, isa))
    return tuple(found)


def _with_schedules(kernel: Kernel[Any], op: Any, isa: "Isa") -> Iterator[Implementation]:
    schedules = schedules_of(kernel, op, isa)
    if not schedules:
        yield Implementation(kernel)
    for schedule in schedules:
        yield Implementation(kernel, schedule)
