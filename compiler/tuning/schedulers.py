"""Answer lowering's question for schedules from measurements, or note what it asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from octavo.compiler.lowering.kernel_call import KernelCall
from octavo.compiler.measurements.key import Context, TuningKey, operation_text, tuning_key
from octavo.compiler.tuning.records import Choice, TuningTask
from octavo.targets.implementation import Implementation
from octavo.targets.ops.work import macs
from octavo.targets.schedule import schedules_of


@dataclass
class TunedScheduler:
    """Takes measured schedules; what was not measured is left to the kernel.

    Attributes:
        choices: By kernel and operation, all of one context.
    """

    choices: Mapping[tuple[str, str], Choice]

    def __call__(self, call: KernelCall) -> Implementation | None:
        """The measured choice, or None."""
        schedules = schedules_of(call.kernel, call.op, call.isa)
        if not schedules:
            return None
        choice = self.choices.get((call.kernel.name, operation_text(call.op)))
        if choice is None:
            return None
        # Only what the kernel offers: a store is a file that anything may have written to.
        known = (s for s in schedules if s.record() == choice.schedule)
        return next((Implementation(call.kernel, schedule) for schedule in known), None)


@dataclass
class TaskCollector:
    """Notes every kernel that has a choice, and leaves the choice to its model.

    Attributes:
        context: Of the measurements to come.
        max_schedules: Candidates of one task.
    """

    context: Context
    max_schedules: int
    _tasks: dict[TuningKey, TuningTask] = field(default_factory=dict)

    def __call__(self, call: KernelCall) -> Implementation | None:
        """Note the call."""
        schedules = schedules_of(call.kernel, call.op, call.isa)[: self.max_schedules]
        if len(schedules) < 2:
            return None
        key = tuning_key(call.kernel, call.op, self.context)
        known = self._tasks.get(key)
        if known is None:
            self._tasks[key] = TuningTask(key, call, schedules, 1, macs(call.op))
        else:
            self._tasks[key] = replace(
                known, num_calls=known.num_calls + 1, macs=known.macs + macs(call.op)
            )
        return None

    def tasks(self) -> list[TuningTask]:
        """Distinct tasks, those with the most work first: time may run out."""
        return sorted(self._tasks.values(), key=lambda task: -task.macs)
