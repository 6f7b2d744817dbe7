"""The file that measurements are kept in."""

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from octavo.compiler.measurements.key import Context, TuningKey
from octavo.compiler.tuning.records import Choice, Trial
from octavo.compiler.tuning.store import TuningStore
from octavo.errors import StoreError

CONTEXT = Context("avx2 x86_64", "a CPU", "octavo-1", 1)
KEY = TuningKey("conv_gemm", '{"in_c":3}', CONTEXT)
CHOICE = Choice(KEY, {"rows": 4}, 1.5, {"rows": 2}, 2.0, "2026-01-01T00:00:00+00:00")
TRIALS = [
    Trial(KEY, {"rows": 2}, 2.0, 1.9, 2.1, 100),
    Trial(KEY, {"rows": 4}, 1.5, 1.4, 1.6, 100),
    Trial(KEY, {"rows": 9}, error="ended with -11"),
]
WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.compiler.tuning.test_store import CHOICE, KEY
from octavo.compiler.tuning.store import TuningStore

for i in range(20):
    key = replace(KEY, operation=f"{sys.argv[2]}-{i}")
    with TuningStore(Path(sys.argv[1])) as store:
        store.save([], replace(CHOICE, key=key))
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "measurements.sqlite"


def test_what_is_saved_is_found_in_another_process_s_view(path):
    with TuningStore(path) as store:
        store.save(TRIALS, CHOICE)
    with TuningStore(path) as store:
        assert store.choices(CONTEXT) == {(KEY.kernel, KEY.operation): CHOICE}
        assert store.trials() == TRIALS


@pytest.mark.parametrize(
    "other",
    [
        replace(CONTEXT, code="avx512 x86_64"),
        replace(CONTEXT, device="another CPU"),
        replace(CONTEXT, toolchain="octavo-2"),
        replace(CONTEXT, num_threads=2),
    ],
)
def test_every_part_of_the_context_counts(path, other):
    with TuningStore(path) as store:
        store.save(TRIALS, CHOICE)
        assert store.choices(other) == {}
        moved = replace(CHOICE, key=replace(KEY, context=other), latency_us=9.0)
        store.save([], moved)
        assert store.choices(CONTEXT) == {(KEY.kernel, KEY.operation): CHOICE}


def test_a_newer_measurement_replaces_an_older_one(path):
    newer = replace(CHOICE, schedule={"rows": 9}, latency_us=1.0)
    with TuningStore(path) as store:
        store.save(TRIALS, CHOICE)
        store.save(TRIALS[:1], newer)
        assert list(store.choices(CONTEXT).values()) == [newer]
        assert len(store.trials()) == len(TRIALS)


def test_several_processes_write_at_once(path):
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(["src", ".", *sys.path]))
    command = [sys.executable, "-c", WRITER, path]
    writers = [subprocess.Popen([*command, str(i)], env=environment) for i in range(4)]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 4
    with TuningStore(path) as store:
        assert len(store.choices(CONTEXT)) == 4 * 20


def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"not a database, but long enough to be taken for one" * 40)
    with pytest.raises(StoreError, match=r"measurements\.sqlite .*delete it") as caught:
        TuningStore(path)
    assert "\n" not in str(caught.value)


def test_another_program_s_database_is_refused_and_kept(path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    content = path.read_bytes()
    with pytest.raises(StoreError, match="no store of measurements"):
        TuningStore(path)
    assert path.read_bytes() == content


def test_another_version_s_store_is_refused(path):
    TuningStore(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError, match="format 99"):
        TuningStore(path)


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.2])
def test_a_damaged_store_ends_in_one_error(path, kept):
    with TuningStore(path) as store:
        for i in range(300):
            key = replace(KEY, operation=f"{i:0200d}")
            store.save([], replace(CHOICE, key=key))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(StoreError), TuningStore(path) as store:
        store.choices(CONTEXT)


@pytest.mark.parametrize("text", ["{", "[1]", "3", "null", ""])
def test_a_schedule_that_is_no_record_is_an_error(path, text):
    with TuningStore(path) as store:
        store.save([], CHOICE)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE choices SET schedule = ?", [text])
    database.close()
    with TuningStore(path) as store, pytest.raises(StoreError):
        store.choices(CONTEXT)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="cannot be used"):
        TuningStore(tmp_path / "missing" / "measurements.sqlite")
