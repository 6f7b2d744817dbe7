"""Measurements that outlive a run: an SQLite file in the cache folder.

Several processes may read and write it at once (write-ahead log). Every trial is kept, so that
the file is a record of latencies by kernel, operation, code, device and toolchain; ``choices``
says what was concluded from them.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple
from pathlib import Path
from types import TracebackType
from typing import Self

from octavo.compiler.artifact.toolchain import cache_folder
from octavo.compiler.tuning.key import Context, TuningKey, json_text
from octavo.compiler.tuning.records import Choice, Trial
from octavo.errors import StoreError

FILE_NAME = "measurements.sqlite"
APPLICATION_ID = 0x4F435456  # "OCTV": tells the file from other programs' databases
FORMAT = 1  # raised when older versions would misread the tables
BUSY_TIMEOUT_S = 30.0

_KEY = "kernel, operation, code, device, toolchain, num_threads"
_KEY_COLUMNS = """
    kernel TEXT NOT NULL, operation TEXT NOT NULL, code TEXT NOT NULL, device TEXT NOT NULL,
    toolchain TEXT NOT NULL, num_threads INTEGER NOT NULL, schedule TEXT NOT NULL,"""
_TABLES = (
    f"""CREATE TABLE IF NOT EXISTS trials ({_KEY_COLUMNS}
        latency_us REAL, low_us REAL, high_us REAL, num_runs INTEGER NOT NULL,
        error TEXT NOT NULL, measured_at TEXT NOT NULL,
        PRIMARY KEY ({_KEY}, schedule))""",
    f"""CREATE TABLE IF NOT EXISTS choices ({_KEY_COLUMNS}
        latency_us REAL NOT NULL, default_schedule TEXT NOT NULL,
        default_latency_us REAL NOT NULL, measured_at TEXT NOT NULL,
        PRIMARY KEY ({_KEY}))""",
)
_FIND = """SELECT kernel, operation, schedule, latency_us, default_schedule,
    default_latency_us, measured_at FROM choices
    WHERE code = ? AND device = ? AND toolchain = ? AND num_threads = ?"""


def store_path() -> Path:
    """Where the measurements of this user are."""
    return cache_folder() / FILE_NAME


class TuningStore:
    """An open store.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            StoreError: It is damaged, not a store, or of another version.
        """
        self.path = path
        with self._translated():
            self._database = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
        try:
            with self._translated():
                self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        database = self._database
        with database:
            database.execute("BEGIN")  # one state, while others may be making the tables
            application, format_version, num_tables = (
                database.execute(query).fetchone()[0]
                for query in (
                    "PRAGMA application_id",
                    "PRAGMA user_version",
                    "SELECT count(*) FROM sqlite_master",
                )
            )
        if application == APPLICATION_ID and format_version == FORMAT:
            return
        if application or format_version or num_tables:
            raise self._error(
                f"has format {format_version}, this version reads {FORMAT}"
                if application == APPLICATION_ID
                else "is no store of measurements"
            )
        database.execute("PRAGMA journal_mode = WAL")
        # Another process may be doing the same: one transaction, only IF NOT EXISTS.
        with database:
            database.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                database.execute(table)
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {FORMAT}")

    def choices(self, context: Context) -> dict[tuple[str, str], Choice]:
        """What was found in a context, by kernel and operation.

        Raises:
            StoreError: The file is damaged.
        """
        with self._translated():
            rows = self._database.execute(_FIND, astuple(context)).fetchall()
            choices = (
                Choice(
                    TuningKey(str(kernel), str(operation), context),
                    dict(json.loads(schedule)),
                    float(latency_us),
                    dict(json.loads(default)),
                    float(default_latency_us),
                    str(measured_at),
                )
                for kernel, operation, schedule, latency_us, default, default_latency_us,
                measured_at in rows
            )
            return {(c.key.kernel, c.key.operation): c for c in choices}

    def save(self, trials: Iterable[Trial], choice: Choice) -> None:
        """Keep the trials of one task and what was concluded; newer ones replace older ones.

        Raises:
            StoreError: The file is damaged, or cannot be written.
        """
        with self._translated(), self._database as database:
            for trial in trials:
                _insert(database, "trials", (
                    *_key_values(trial.key), json_text(trial.schedule), trial.latency_us,
                    trial.low_us, trial.high_us, trial.num_runs, trial.error,
                    choice.measured_at))
            _insert(database, "choices", (
                *_key_values(choice.key), json_text(choice.schedule), choice.latency_us,
                json_text(choice.default), choice.default_latency_us, choice.measured_at))

    def trials(self) -> list[Trial]:
        """Every trial, in the order of the keys."""
        with self._translated():
            rows = self._database.execute(f"SELECT * FROM trials ORDER BY {_KEY}").fetchall()
            return [
                Trial(TuningKey(row[0], row[1], Context(*row[2:6])), json.loads(row[6]),
                      *row[7:12])
                for row in rows
            ]

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise self._error(f"cannot be used ({error})") from error

    def _error(self, what: str) -> StoreError:
        return StoreError(f"the store of measurements {self.path} {what}; delete it or set"
                          " OCTAVO_CACHE to another folder")


def _key_values(key: TuningKey) -> tuple[str | int, ...]:
    return key.kernel, key.operation, *astuple(key.context)


def _insert(database: sqlite3.Connection, table: str, values: tuple[object, ...]) -> None:
    marks = ", ".join("?" * len(values))
    with closing(database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", values)):
        pass
