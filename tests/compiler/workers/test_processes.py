import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.compiler.workers.evaluators import (
    Fragile,
    Holder,
    Sleeper,
    Square,
    Threads,
    Unmade,
    Wrong,
)
from tests.compiler.workers.processes_of import is_running, wait_until
from threadpoolctl import threadpool_limits

from octavo.compiler.workers import Outcome, in_process, processes
from octavo.errors import ModelError, WorkerError

ROOT = Path(__file__).resolve().parents[3]


def begun(folder):
    """Items in the order in which work on them began."""
    files = sorted(folder.glob("begun-*"), key=lambda path: int(path.name.split("-")[2]))
    return [int(path.name.split("-")[1]) for path in files]


def test_every_item_comes_back_once_from_evaluators_made_once(tmp_path):
    items = list(range(20))
    with processes(Square(tmp_path, pause_s=0.02), num_workers=2) as workers:
        results = dict(workers.run(items))
        first = {worker.pid for worker in workers._workers}
        again = list(workers.run([7], resource="phone"))
        assert {worker.pid for worker in workers._workers} == first
    assert results == {i: Outcome(i * i) for i in items}
    assert again == [(0, Outcome(49))]
    assert len(list(tmp_path.glob("made-*"))) == 2
    # With two workers, an item begins at most one place before its turn.
    assert all(abs(place - item) <= 1 for place, item in enumerate(begun(tmp_path)[:20]))
    assert not any(map(is_running, first))


def test_a_resource_has_one_item_at_a_time(tmp_path):
    with processes(Square(tmp_path, pause_s=0.05), num_workers=2) as workers:
        list(workers.run(range(2)))  # both have started
        iterator = workers.run(range(4), resource="phone")
        for _ in iterator:
            assert sum(worker.item is not None for worker in workers._workers) <= 1
    assert begun(tmp_path)[2:] == [0, 1, 2, 3]


@pytest.mark.parametrize(("how", "said"), [("kill", "by SIGKILL"), ("exit", "exit code 7")])
def test_items_of_processes_that_die_are_worked_on_again(tmp_path, how, said):
    with processes(Fragile(tmp_path, (1, 3), how), num_workers=2) as workers:
        results = list(workers.run(range(5)))
        assert sorted(index for index, _ in results) == [0, 1, 2, 3, 4]
        assert dict(results) == {i: Outcome(i * i) for i in range(5)}
    always = tmp_path / "always"
    always.mkdir()
    with processes(Fragile(always, (1,), how, times=99), num_workers=1) as workers:
        results = dict(workers.run(range(3)))
    assert results[1].error.startswith("its process died 3 times, the last one ")
    assert results[1].error.endswith(said)
    assert len(list(always.glob("death-*"))) == 3
    assert (results[0], results[2]) == (Outcome(0), Outcome(4))


def test_errors_are_the_same_as_in_this_process():
    items = ["device", "type", "fine"]
    with processes(Wrong(), num_workers=1) as workers, in_process(Wrong()) as here:
        results = dict(workers.run(items))
        assert results == dict(here.run(items))
        assert results[0] == Outcome(error="adb:17: gone", exit_code=4)
        assert results[1] == Outcome(error="TypeError: two lines", exit_code=1)
        [(_, outcome)] = workers.run(["unpicklable"])
        assert "pickle" in outcome.error


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("error", ModelError, "no such model"),
        ("fault", RuntimeError, "a fault"),
        ("kill", WorkerError, "3 processes died before they could work, the last one by SIG"),
    ],
)
def test_an_evaluator_that_cannot_be_made_ends_the_work(how, error, message):
    kind = ZeroDivisionError if how == "fault" else error
    with processes(Unmade(how), num_workers=1) as workers, pytest.raises(kind, match=message):
        list(workers.run([1, 2]))


@pytest.mark.parametrize("workers", [in_process(Threads()), processes(Threads(), 1)])
def test_numerics_have_one_thread(workers):
    with threadpool_limits(2), workers:
        assert [outcome.unwrap() for _, outcome in workers.run([64, 64])] == [{1}, {1}]


def test_no_workers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="num_workers 0"):
        processes(Square(tmp_path), 0)


def test_what_is_under_way_is_stopped_when_nobody_listens(tmp_path):
    with processes(Sleeper(tmp_path), num_workers=1) as workers:
        iterator = workers.run([0, 1])
        with pytest.raises(KeyboardInterrupt):
            interrupt_when(tmp_path / "pids-0", iterator)
        pids = [int(pid) for pid in (tmp_path / "pids-0").read_text().split()]
        wait_until(lambda: not any(map(is_running, pids)), seconds=30)
    assert not (tmp_path / "pids-1").exists()


@pytest.mark.parametrize("kind", ["in process", "processes"])
def test_evaluators_are_closed_at_the_end(tmp_path, kind):
    make = Holder(tmp_path)
    workers = in_process(make) if kind == "in process" else processes(make, num_workers=2)
    with workers:
        assert all(outcome.value for _, outcome in workers.run([0.0, 0.01]))
        assert list(tmp_path.glob("held-*"))
    assert not list(tmp_path.glob("held-*"))
    workers.close()  # the second time does nothing


def test_evaluators_are_closed_when_their_item_is_given_up(tmp_path):
    with processes(Holder(tmp_path), num_workers=1) as workers:
        iterator = workers.run([0.0, 60.0])
        next(iterator)
        [held] = tmp_path.glob("held-*")
        iterator.close()
        assert not held.exists()


def interrupt_when(path, iterator):
    """Take the next outcome; as if the user interrupted when a file appears."""
    import threading

    def interrupt():
        wait_until(lambda: path.exists() and path.read_text())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        next(iterator)
    finally:
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_the_parent_is_ended(tmp_path, number):
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.compiler.workers.sleeping_parent", str(tmp_path)],
        cwd=ROOT,
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    files = [tmp_path / "pids-0", tmp_path / "pids-1"]
    wait_until(lambda: all(path.exists() and path.read_text() for path in files))
    pids = [int(pid) for path in files for pid in path.read_text().split()]
    assert all(map(is_running, pids))
    os.kill(parent.pid, number)
    _, said = parent.communicate(timeout=60)
    wait_until(lambda: not any(map(is_running, pids)), seconds=30)
    if number == signal.SIGINT:
        assert said.count(b"Traceback") == 1  # the parent's own; the children are silent
    else:
        assert said == b""
