"""Tuning as a stage of a compilation: which scheduler the model is lowered with."""

from collections.abc import Callable, Iterator

from octavo.compiler.lowering.kernel_call import Scheduler, model_choice
from octavo.compiler.lowering.program import Program
from octavo.compiler.measurements.database import database_path
from octavo.compiler.measurements.key import this_context
from octavo.compiler.tuning.options import TuningOptions
from octavo.compiler.tuning.schedulers import TaskCollector, TunedScheduler
from octavo.compiler.tuning.store import TuningStore
from octavo.compiler.tuning.trials import Trials
from octavo.compiler.tuning.tune import TuneOutcome, tune
from octavo.errors import StoreError
from octavo.targets.base import Target

MAX_SCHEDULES = 12  # of one task, in the order that the model of the kernel expects


def tuned_scheduler(
    options: TuningOptions,
    target: Target,
    lower: Callable[[Scheduler], Program],
    progress: Callable[[int, int], None],
) -> tuple[Scheduler, tuple[str, ...]]:
    """Read what was measured and, where the user wants it, measure first.

    Args:
        options: What the user wants.
        target: What to compile for; where there is to be measured, this machine runs it.
        lower: Lowers the model with a scheduler.
        progress: Called with candidates done and candidates in all.

    Returns:
        The scheduler to lower the model with, and notes for the user.

    Raises:
        StoreError: The store cannot be used, and measurements were to be kept in it.
    """
    path = database_path()
    if not options.reuse or not (options.measure or path.is_file()):
        return model_choice, ()
    context = this_context(target)
    notes: tuple[str, ...] = ()
    try:
        with TuningStore(path) as store:
            if options.measure:
                collector = TaskCollector(context, MAX_SCHEDULES)
                trials = Trials(target, touched_bytes(lower(collector)))
                tasks, budget_s = collector.tasks(), options.budget_s
                outcome = tune(tasks, store, trials, budget_s=budget_s, progress=progress)
                notes = tuple(outcome_notes(outcome))
            return TunedScheduler(store.choices(context)), notes
    except StoreError as error:
        if options.measure:
            raise
        return model_choice, (f"{error}; no measured schedules were used",)


def touched_bytes(program: Program) -> int:
    """Bytes of the buffers that one run of a program reads or writes, each step's counted."""
    return sum(o.buffer.num_bytes for step in program.steps for o in step.operands)


def outcome_notes(outcome: TuneOutcome) -> Iterator[str]:
    """What the user should know of a tuning run."""
    if outcome.num_failed:
        yield f"tuning: {outcome.num_failed} kernels could not be measured"
    if outcome.num_left:
        yield (
            f"tuning: the time was over before {outcome.num_left} of {outcome.num_tasks}"
            " kernels; tune again to go on"
        )
