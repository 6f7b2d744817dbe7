"""``octavo search`` with workers elsewhere finds what it finds alone."""

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from tests.compiler.workers.local_cluster import raylet
from tests.compiler.workers.processes_of import command_line, descendants

from octavo.compiler.cli import main

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
OPTIONS = (
    "search", DIGITS / "digits.onnx", "--target", "host", "--data", DIGITS / "test.npz",
    "--device", "none", "--formats", "w8a8,w4a8,w2a8", "--max-samples", 200,
    "--rounding", "nearest", "--budget", 24,
)  # fmt: skip


def search(*options):
    """Run the command; its exit code."""
    return main([str(option) for option in (*OPTIONS, *options)])


def found(folder):
    return json.loads((folder / "search.json").read_text())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What a search in this process finds."""
    folder = tmp_path_factory.mktemp("search") / "alone"
    assert search("-q", "-o", folder) == 0
    return found(folder)


@pytest.mark.slow
def test_a_node_dies_during_a_search_and_the_front_is_the_same(cluster, alone, tmp_path):
    node = cluster.add_node("second", num_cpus=2)
    folder, at_death, ended = tmp_path / "found", [], threading.Event()

    def is_at_work():
        lines = [command_line(pid) for pid in descendants(raylet(node))]
        return any("octavo.compiler.workers" in line for line in lines)

    def kill_when_at_work():
        while not ended.wait(0.1):
            if num_measured(folder) and is_at_work():
                at_death.append(num_measured(folder))
                cluster.kill(node)
                return

    thread = threading.Thread(target=kill_when_at_work)
    thread.start()
    try:
        assert search("-q", "-o", folder, "--cluster", cluster.address) == 0
    finally:
        ended.set()
        thread.join()
    assert at_death
    assert 0 < at_death[0] < num_measured(folder)
    assert found(folder) == alone


def num_measured(folder):
    """How much the journal holds."""
    if not (folder / "search.sqlite").is_file():
        return 0
    with closing(sqlite3.connect(folder / "search.sqlite")) as journal:
        tables = [name for (name,) in journal.execute("SELECT name FROM sqlite_master")]
        if "measurements" not in tables:
            return 0  # it has just been made
        return journal.execute("SELECT count(*) FROM measurements").fetchone()[0]


@pytest.mark.slow
def test_a_device_that_no_node_has_ends_the_search_at_once(cluster, tmp_path, capfd):
    elsewhere = ("--device", "local", "--cluster", cluster.address)
    code = search("-o", tmp_path / "found", *elsewhere, "--device-resource", "iphone")
    assert code == 4
    assert "the resource 'iphone' and a CPU; they have: pixel-8" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--cluster", "head"], 2, "cluster 'head' is none of: local, auto, ray://HOST:PORT"),
        (["--cluster", "ray://127.0.0.1:1"], 4, "cluster ray://127.0.0.1:1 cannot be reached"),
        (["--cluster", "local", "--workers", "2"], 2, "--workers is for this machine"),
        (["--device-resource", "pixel-8"], 2, "--device-resource goes with --cluster"),
    ],
)
def test_mistakes_are_one_line(options, code, said, tmp_path, capfd):
    assert search("-q", "-o", tmp_path / "found", *options) == code
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
