import importlib.util
import itertools
import os
import pickle
import re
import signal
import subprocess
import sys

import pytest
from tests.compiler.workers.evaluators import Fragile, OnNode, Unmade, Wrong
from tests.compiler.workers.local_cluster import ROOT
from tests.compiler.workers.processes_of import is_running, wait_until

from octavo.compiler.workers import Outcome, in_process, on_cluster
from octavo.compiler.workers.cluster import checked_address
from octavo.compiler.workers.cluster_driver import connect
from octavo.compiler.workers.cluster_task import work
from octavo.errors import AddressError, ModelError, WorkerError


@pytest.mark.slow
def test_a_node_dies_and_every_item_comes_back_once(cluster, tmp_path):
    second = cluster.add_node("second", num_cpus=2, resources={"board": 1})
    results = []
    make = OnNode(tmp_path, pause_s=0.25, nodes=("head", "second"))
    with on_cluster(make, cluster.address) as workers:
        for result in workers.run(range(24)):
            results.append(result)
            if len(results) == 1:
                wait_until(lambda: begun_and_not_ended(tmp_path, "second"))
                cluster.kill(second)
        lost = begun_and_not_ended(tmp_path, "second")
    assert lost  # begun on the node that died, and done elsewhere
    assert all(len(list(tmp_path.glob(f"begun-{x}-*"))) >= 2 for x in lost)
    assert sorted(index for index, _ in results) == list(range(24))
    assert all(outcome.unwrap()[0] == index**2 for index, outcome in results)


def begun_and_not_ended(folder, node):
    ended = {path.name.removeprefix("ended-") for path in folder.glob("ended-*")}
    begun = {path.name.removeprefix("begun-") for path in folder.glob(f"begun-*-{node}-*")}
    return [int(name.split("-")[0]) for name in begun - ended]


@pytest.mark.slow
def test_a_resource_is_where_it_is_and_has_one_item_at_a_time(cluster, tmp_path):
    board = cluster.add_node("board", num_cpus=2, resources={"board": 1})
    with on_cluster(OnNode(tmp_path, pause_s=0.05), cluster.address) as workers:
        for resource, node in (("pixel-8", "head"), ("board", "board")):
            results = [o.unwrap() for _, o in workers.run(range(6), resource=resource)]
            times = sorted((begin, end) for _, _, begin, end in results)
            assert {where for _, where, _, _ in results} == {node}
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(times))
        # Its node dies: what needs the board would wait forever.
        iterator = workers.run(range(40), resource="board")
        next(iterator)
        cluster.kill(board)
        with pytest.raises(WorkerError, match="has the resource 'board' and a CPU"):
            list(iterator)


@pytest.mark.slow
def test_what_no_node_has_is_refused_at_once(cluster, tmp_path):
    with (
        on_cluster(OnNode(tmp_path, 0.0), cluster.address) as workers,
        pytest.raises(WorkerError, match=r"resource 'iphone' .* they have: pixel-8") as caught,
    ):
        list(workers.run([1], resource="iphone"))
    assert caught.value.exit_code == 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_through_the_client_errors_are_the_same_as_in_this_process(cluster):
    items = ["device", "type", "unpicklable", "fine"]
    with in_process(Wrong()) as here:
        expected = dict(here.run(items))
    with on_cluster(Wrong(), cluster.client_address) as workers:
        results = dict(workers.run(items))
    assert "pickle" in results.pop(2).error
    expected.pop(2)
    assert results == expected


@pytest.mark.slow
def test_items_that_end_processes_of_the_cluster_are_given_up(cluster, tmp_path):
    with on_cluster(Fragile(tmp_path, (1,), "parent", times=9), cluster.address) as workers:
        results = dict(workers.run(range(3)))
    assert results[1].error == (
        "its process died 3 times, the last one with WorkerCrashedError"
    )
    assert len(list(tmp_path.glob("death-*"))) == 3
    assert (results[0], results[2]) == (Outcome(0), Outcome(4))


@pytest.mark.slow
def test_an_evaluator_that_cannot_be_made_ends_the_work(cluster):
    with (
        on_cluster(Unmade("error"), cluster.address) as workers,
        pytest.raises(ModelError, match="no such model"),
    ):
        list(workers.run([1]))


@pytest.mark.slow
def test_nothing_is_left_on_nodes_when_who_gave_the_work_is_killed(cluster, tmp_path):
    script = "tests.compiler.workers.sleeping_parent"
    parent = subprocess.Popen(
        [sys.executable, "-m", script, tmp_path, cluster.address], cwd=ROOT
    )
    files = [tmp_path / "pids-0", tmp_path / "pids-1"]
    wait_until(lambda: all(path.exists() and path.read_text() for path in files))
    pids = [int(pid) for path in files for pid in path.read_text().split()]
    assert all(map(is_running, pids))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not any(map(is_running, pids)))


@pytest.mark.slow
def test_a_cluster_of_another_version_is_refused_in_one_line(cluster):
    code = (
        "import ray; ray.__version__ = '1.0.0'\n"
        "from octavo.compiler.workers.cluster_driver import connect\n"
        f"connect({cluster.address!r})"
    )
    failed = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False)
    last = failed.stderr.decode().splitlines()[-1]
    assert last.startswith(
        f"octavo.errors.WorkerError: cluster {cluster.address}: Version mis"
    )


@pytest.mark.parametrize(
    "cause",
    [
        "RuntimeError: Starting Ray client server failed. See 1.err for logs.",
        "psutil.ZombieProcess: PID still exists but it's a zombie (pid=1)",
    ],
)
def test_a_client_whose_server_is_dead_at_once_gets_another(monkeypatch, cause):
    ray = pytest.importorskip("ray")
    frame = '  File "proxier.py", line 1, in Datapath'
    trace = f"Traceback (most recent call last):\n{frame}\n{cause}\n"
    calls = []

    def init(**options):
        calls.append(options)
        if len(calls) in failing:
            raise ConnectionAbortedError(f"Initialization failure from server:\n{trace}")

    monkeypatch.setattr(ray, "init", init)
    failing = (1, 2)
    assert connect("ray://head:1") is ray
    assert len(calls) == 3
    failing = range(100)
    expected = f"cluster ray://head:1: Initialization failure from server: {cause}"
    with pytest.raises(WorkerError, match=re.escape(expected)):
        connect("ray://head:1")
    assert len(calls) == 6


def test_nodes_with_another_octavo_are_refused():
    def fetch():
        raise AssertionError("nothing is fetched")

    error = pickle.loads(work("key", "9.9", fetch, b""))
    assert isinstance(error, WorkerError)
    assert str(error).endswith("this machine has 9.9")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://localhost:1", "ray://[::1]:1"])
def test_a_cluster_that_is_not_there_is_an_error_at_once(address):
    pytest.importorskip("ray")
    with (
        on_cluster(Wrong(), address) as workers,
        pytest.raises(WorkerError, match=r"cannot be reached: \w"),
    ):
        list(workers.run(["fine"]))


@pytest.mark.parametrize(
    "address",
    ["auto", "local", "ray://head.example.com:10001", "10.0.0.1:6379", "ray://[::1]:1"],
)
def test_known_addresses(address):
    assert checked_address(address) == address


@pytest.mark.parametrize(
    "address", ["", "head", "ray://head", "ray://head:0", "http://h:1", "h:99999", "h:1\n"]
)
def test_unknown_addresses(address):
    with pytest.raises(AddressError, match="is none of: local, auto, ray://HOST:PORT"):
        checked_address(address)


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WorkerError, match=r"pip install 'octavo\[cluster\]'"):
        on_cluster(Wrong(), "local")


def test_ray_is_imported_by_nobody_who_does_not_use_it():
    code = (
        "import sys, octavo.compiler.workers as w;"
        "w.on_cluster(print, 'local').close();"
        "assert not {'ray', 'numpy', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
