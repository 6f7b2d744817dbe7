"""Measurements are kept: by several writers, a killed one, and through files."""

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from octavo.compiler.measurements.database import MeasurementDatabase, set_aside
from octavo.compiler.measurements.key import Context, TuningKey
from octavo.compiler.measurements.latencies import (
    KernelLatency,
    LatencyStore,
    from_line,
    to_line,
)
from octavo.compiler.sqlite_file import DamagedDatabaseError
from octavo.compiler.tuning.records import Choice
from octavo.compiler.tuning.store import TuningStore
from octavo.errors import DataError, StoreError

CONTEXT = Context("avx2 x86_64", "a CPU", "octavo-1", 1)
KEY = TuningKey("conv_gemm.avx2.4x16", '{"in_c":3,"type":"Conv"}', CONTEXT)
LATENCY = KernelLatency(
    KEY, {"rows": 4}, 1.5, 1.4, 1.6, 1.9, 50, "2026-01-01T00:00:00+00:00")
# Says after each measurement that it is kept.
WRITER = """
import os
import sys
from dataclasses import replace
from pathlib import Path
from tests.compiler.measurements.test_latencies import LATENCY
from octavo.compiler.measurements.latencies import LatencyStore

def write(name, count):
    with LatencyStore(Path(sys.argv[1])) as store:
        for i in range(count):
            store.add([replace(LATENCY, id=f"{name}-{i}")])
            os.write(1, f"{name}-{i}\\n".encode())  # at once, or not at all
"""
WRITE_ALL = WRITER + "write(sys.argv[2], int(sys.argv[3]))"
# One process after the other that is killed at a random moment. Forked: to start takes long.
WRITE_UNTIL_KILLED = WRITER + """
import random, signal, time
generator = random.Random(0)
for kill in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        write(kill, 10**9)
    time.sleep(generator.uniform(0, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
NUM_KILLS = 50


@pytest.fixture
def path(tmp_path):
    return tmp_path / "measurements.sqlite"


def start(script, *arguments):
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(["src", ".", *sys.path]))
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_what_is_kept_is_found_again(path):
    other = replace(LATENCY, key=replace(KEY, kernel="max_pool.avx2"), schedule=None, id="b")
    with LatencyStore(path) as store:
        assert store.add([LATENCY, other]) == 2
        assert store.add([LATENCY]) == 0
    with LatencyStore(path) as store:
        assert list(store.latencies()) == [LATENCY, other]


def test_every_measurement_is_a_row_of_its_own(path):
    again = KernelLatency(
        KEY, LATENCY.schedule, 1.6, 1.5, 1.7, 2.0, 50, LATENCY.measured_at)
    with LatencyStore(path) as store:
        assert store.add([LATENCY, again]) == 2
        (row,) = store.statistics()
    assert (row.num_measurements, row.num_operations) == (2, 1)
    assert (row.device, row.code, row.toolchain) == ("a CPU", "avx2 x86_64", "octavo-1")


@pytest.mark.parametrize("way", ["add", "merge"])
def test_a_row_becomes_better_known_by_more_runs_only(path, tmp_path, way):
    better = replace(LATENCY, latency_us=1.25, num_runs=LATENCY.num_runs + 1)
    worse = replace(LATENCY, latency_us=9.0, num_runs=LATENCY.num_runs - 1)
    with LatencyStore(path) as store:
        store.add([LATENCY])
        for number, (new, num_changed) in enumerate(((worse, 0), (better, 1), (LATENCY, 0))):
            if way == "add":
                assert store.add([new]) == num_changed
            else:
                with LatencyStore(tmp_path / f"{number}.sqlite") as other:
                    other.add([new])
                assert store.merge(tmp_path / f"{number}.sqlite") == num_changed
        assert list(store.latencies()) == [better]


def test_two_processes_lose_nothing(path):
    count = 10_000
    writers = [start(WRITE_ALL, path, name, count) for name in ("a", "b")]
    for writer in writers:
        writer.communicate(timeout=300)
        assert writer.returncode == 0
    with LatencyStore(path) as store:
        assert store.statistics()[0].num_measurements == 2 * count


def test_a_killed_process_takes_nothing_along(path):
    writer = start(WRITE_UNTIL_KILLED, path, NUM_KILLS)
    said = writer.communicate(timeout=300)[0].splitlines(keepends=True)
    assert writer.returncode == 0
    kept = {line.strip() for line in said if line.endswith("\n")}
    with LatencyStore(path) as store:
        found = {latency.id for latency in store.latencies()}
    assert len({name.partition("-")[0] for name in kept}) > NUM_KILLS / 4
    assert kept <= found
    assert len(found) <= len(kept) + NUM_KILLS  # each may have written one that it did not say


def test_a_database_of_the_first_format_gains_the_new_tables(path):
    MeasurementDatabase(path).close()
    with sqlite3.connect(path) as older:
        for table in ("latencies", "profiles", "rounds"):
            older.execute(f"DROP TABLE {table}")
        older.execute("PRAGMA user_version = 1")
    older.close()
    with LatencyStore(path) as store:
        assert store.add([LATENCY]) == 1


def test_a_damaged_database_is_told_from_others_and_set_aside(path):
    path.write_bytes(b"not a database, but long enough to be taken for one" * 40)
    with pytest.raises(DamagedDatabaseError, match=r"measurements\.sqlite cannot be used"):
        LatencyStore(path)
    first = set_aside(path)
    assert first.name == "measurements.sqlite.damaged-1"
    assert first.read_bytes().startswith(b"not a database")
    path.write_bytes(b"x" * 4096)
    assert set_aside(path).name == "measurements.sqlite.damaged-2"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    with pytest.raises(StoreError, match="is no store of measurements") as caught:
        LatencyStore(path)
    assert not isinstance(caught.value, DamagedDatabaseError)


def test_merging_adds_what_is_new_and_newer(path, tmp_path):
    theirs = tmp_path / "theirs.sqlite"
    choice = Choice(KEY, {"rows": 4}, 1.5, {"rows": 2}, 2.0, "2026-01-02T00:00:00+00:00")
    newer = replace(choice, schedule={"rows": 8}, measured_at="2026-01-03T00:00:00+00:00")
    with LatencyStore(path) as mine, LatencyStore(theirs) as other:
        mine.add([LATENCY])
        other.add([LATENCY, replace(LATENCY, id="theirs")])
    with TuningStore(path) as mine, TuningStore(theirs) as other:
        mine.save([], choice)
        other.save([], newer)
    with LatencyStore(path) as mine:
        assert mine.merge(theirs) == 1
        assert mine.merge(theirs) == 0
        assert {latency.id for latency in mine.latencies()} == {LATENCY.id, "theirs"}
    with TuningStore(path) as mine, TuningStore(theirs) as other:
        assert list(mine.choices(CONTEXT).values()) == [newer]
        other.save([], choice)
    with LatencyStore(path) as mine:
        mine.merge(theirs)
    with TuningStore(path) as mine:
        assert list(mine.choices(CONTEXT).values()) == [newer]


def test_merging_what_is_no_database_names_it(path, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"x" * 4096)
    with LatencyStore(path) as store, pytest.raises(StoreError, match="other cannot be used"):
        store.merge(other)


def test_a_line_holds_all_of_a_measurement():
    line = to_line(LATENCY)
    assert "\n" not in line
    assert from_line(line, 1) == LATENCY
    assert json.loads(line)["operation"] == {"in_c": 3, "type": "Conv"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latency_us": "NaN"}, "no time"),
        ({"latency_us": -1}, "no time"),
        ({"p95_us": None}, "TypeError"),
        ({"num_runs": 0}, "no count"),
        ({"num_threads": 1.5}, "no count"),
        ({"kernel": 7}, "no text"),
        ({"operation": "Conv"}, "ValueError"),
        ({"schedule": [1]}, "schedule"),
    ],
)
def test_a_line_that_is_no_measurement_is_named(change, message):
    line = json.dumps(json.loads(to_line(LATENCY)) | change)
    with pytest.raises(DataError, match=rf"^line 7 is no measurement .*{message}"):
        from_line(line, 7)


@pytest.mark.parametrize("line", ["{", "[]", "{}", "[" * 100_000])
def test_a_line_that_is_no_record_is_named(line):
    with pytest.raises(DataError, match="line 1 is no measurement"):
        from_line(line, 1)
