"""The order of measuring and keeping, with timings that were made up."""

import pytest

from octavo.compiler.lowering.kernel_call import KernelCall
from octavo.compiler.measurements.key import Context, operation_text
from octavo.compiler.tuning import tune as tune_module
from octavo.compiler.tuning.schedulers import TaskCollector, TunedScheduler
from octavo.compiler.tuning.store import TuningStore
from octavo.compiler.tuning.trials import Timing
from octavo.compiler.tuning.tune import batches, tune
from octavo.targets.isa import Isa
from octavo.targets.kernels.pool import MaxPoolWindows
from octavo.targets.ops.pool import MaxPool


@pytest.fixture
def store(tmp_path):
    with TuningStore(tmp_path / "measurements.sqlite") as opened:
        yield opened


@pytest.fixture
def fastest_last(timing):
    """Times candidates: the last schedule of every task is the fastest."""

    def run(candidates):
        return [
            timing(5.0 if c.schedule == c.task.schedules[-1] else 10.0) for c in candidates
        ]

    return run


def test_a_later_lowering_takes_what_was_found(store, task, fastest_last):
    outcome = tune([task], store, fastest_last)
    assert (outcome.num_measured, outcome.num_left) == (1, 0)
    scheduler = TunedScheduler(store.choices(task.key.context))
    assert scheduler(task.call).schedule == task.schedules[-1]


def test_what_is_known_is_not_measured_again(store, make_tasks, fastest_last):
    tasks = make_tasks(3)
    tune(tasks[:2], store, fastest_last)
    measured = []

    def run(candidates):
        measured.extend(candidate.task for candidate in candidates)
        return fastest_last(candidates)

    outcome = tune(tasks, store, run)
    assert {task.key for task in measured} == {tasks[2].key}
    assert (outcome.num_known, outcome.num_measured) == (2, 1)


def test_an_interruption_keeps_batches(store, make_tasks, fastest_last, monkeypatch):
    monkeypatch.setattr(tune_module, "BATCH_CANDIDATES", 3)
    calls = []

    def run(candidates):
        calls.append(candidates)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fastest_last(candidates)

    tasks = make_tasks(4)
    with pytest.raises(KeyboardInterrupt):
        tune(tasks, store, run)
    assert len(store.choices(tasks[0].key.context)) == 2


def test_no_batch_begins_after_the_budget(store, make_tasks, fastest_last, monkeypatch):
    monkeypatch.setattr(tune_module, "BATCH_CANDIDATES", 3)
    now = [0.0]
    monkeypatch.setattr(tune_module.time, "monotonic", lambda: now[0])

    def run(candidates):
        now[0] += 4.0
        return fastest_last(candidates)

    outcome = tune(make_tasks(4), store, run, budget_s=7.0)
    assert (outcome.num_measured, outcome.num_left) == (2, 2)


def test_progress_counts_candidates(store, make_tasks, fastest_last, monkeypatch):
    monkeypatch.setattr(tune_module, "BATCH_CANDIDATES", 6)
    seen = []
    tune(make_tasks(3), store, fastest_last, progress=lambda *at: seen.append(at))
    assert seen == [(0, 9), (6, 9), (9, 9)]


def test_tasks_stay_whole_in_batches(make_tasks, monkeypatch):
    monkeypatch.setattr(tune_module, "BATCH_CANDIDATES", 7)
    assert [len(batch) for batch in batches(make_tasks(5))] == [2, 2, 1]
    monkeypatch.setattr(tune_module, "BATCH_CANDIDATES", 2)
    assert [len(batch) for batch in batches(make_tasks(2))] == [1, 1]
    assert batches([]) == []


def test_a_task_without_a_result_is_counted_and_not_stored(store, task):
    outcome = tune([task], store, lambda candidates: [Timing(0, "crashed")] * len(candidates))
    assert (outcome.num_failed, outcome.num_left) == (1, 0)
    assert store.choices(task.key.context) == {}


def test_a_stored_schedule_that_the_kernel_does_not_offer_is_left(store, task, fastest_last):
    tune([task], store, fastest_last)
    choices = store.choices(task.key.context)
    (known,) = choices
    choices[known].schedule["rows"] = 10_000
    assert TunedScheduler(choices)(task.call) is None


def test_a_kernel_without_a_choice_is_neither_a_task_nor_tuned():
    op = MaxPool(
        batch=1, in_h=4, in_w=4, channels=8, out_h=2, out_w=2, kernel_h=2, kernel_w=2
    )
    call = KernelCall(MaxPoolWindows(), op, Isa(), [], [], {}, "int8")
    collector = TaskCollector(Context("code", "device", "toolchain"), 8)
    assert collector(call) is None
    assert collector.tasks() == []
    assert TunedScheduler({})(call) is None


def test_equal_calls_are_one_task_and_the_largest_comes_first(make_tasks):
    tasks = make_tasks(3)
    collector = TaskCollector(tasks[0].key.context, 8)
    for task in (*tasks, tasks[0], tasks[0]):
        assert collector(task.call) is None
    found = collector.tasks()
    assert [t.key for t in found] == [tasks[0].key, tasks[2].key, tasks[1].key]
    assert found[0].num_calls == 3
    assert found[0].macs == 3 * tasks[0].macs
    assert all(1 < len(t.schedules) <= 8 for t in found)


def test_operations_that_differ_have_texts_that_differ(make_tasks):
    texts = {operation_text(task.call.op) for task in make_tasks(3)}
    assert len(texts) == 3
    assert all(text.startswith('{"batch":1,') and '"type":"Conv"' in text for text in texts)
