"""Measure the tasks of a program and keep what was found."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from octavo.compiler.tuning.choose import choose, trials_of
from octavo.compiler.tuning.records import TuningTask
from octavo.compiler.tuning.store import TuningStore
from octavo.compiler.tuning.trial_program import Candidate
from octavo.compiler.tuning.trials import RunTrials

# Candidates of one program: compiling and starting it costs seconds, and what is being
# measured when the user stops is lost.
BATCH_CANDIDATES = 32


@dataclass(frozen=True)
class TuneOutcome:
    """What a run of ``tune`` did.

    Attributes:
        num_tasks: Kernels with a choice.
        num_known: Of these, measured before.
        num_measured: Of these, measured now.
        num_failed: Of these, measured without a result.
    """

    num_tasks: int
    num_known: int
    num_measured: int
    num_failed: int

    @property
    def num_left(self) -> int:
        """Tasks that the time did not suffice for."""
        return self.num_tasks - self.num_known - self.num_measured - self.num_failed


def tune(
    tasks: Sequence[TuningTask],
    store: TuningStore,
    run_trials: RunTrials,
    *,
    budget_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TuneOutcome:
    """Measure what the store does not know yet, and store it batch by batch.

    Args:
        tasks: The most important first.
        store: Where results are looked up and kept; an interruption loses one batch.
        run_trials: Compiles and times candidates side by side.
        budget_s: No batch is begun after so many seconds; None for no limit.
        progress: Called with candidates done and candidates in all.
    """
    end = None if budget_s is None else time.monotonic() + budget_s
    known = {context: store.choices(context) for context in {t.key.context for t in tasks}}
    new = [
        task for task in tasks
        if (task.key.kernel, task.key.operation) not in known[task.key.context]
    ]
    total, done = sum(len(task.schedules) for task in new), 0
    num_measured = num_failed = 0
    for batch in batches(new):
        if progress is not None:
            progress(done, total)
        if end is not None and time.monotonic() >= end:
            break
        candidates = [Candidate(task, s) for task in batch for s in task.schedules]
        timings = iter(run_trials(candidates))
        for task in batch:
            of_task = [next(timings) for _ in task.schedules]
            choice = choose(task, of_task)
            if choice is None:
                num_failed += 1
                continue
            store.save(trials_of(task, of_task), choice)
            num_measured += 1
        done += len(candidates)
    if progress is not None and total:
        progress(done, total)
    return TuneOutcome(len(tasks), len(tasks) - len(new), num_measured, num_failed)


def batches(tasks: Sequence[TuningTask]) -> list[list[TuningTask]]:
    """Whole tasks together until there are ``BATCH_CANDIDATES`` candidates."""
    found: list[list[TuningTask]] = []
    size = 0
    for task in tasks:
        if not found or size + len(task.schedules) > BATCH_CANDIDATES:
            found.append([])
            size = 0
        found[-1].append(task)
        size += len(task.schedules)
    return found
