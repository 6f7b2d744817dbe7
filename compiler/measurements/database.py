"""The file that measurements are kept in: an SQLite database in the cache folder.

Several processes may read and write it at once (write-ahead log), and one that is killed takes
nothing along that it had finished writing. Every measurement is kept.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from octavo.compiler.artifact.toolchain import cache_folder
from octavo.compiler.closing import Closing
from octavo.errors import StoreError

FILE_NAME = "measurements.sqlite"
APPLICATION_ID = 0x4F435456  # "OCTV": tells the file from other programs' databases
FORMAT = 3  # raised when older versions would misread the tables
OLDER_FORMATS = (1, 2)  # that only lack tables
BUSY_TIMEOUT_S = 30.0
# Primary result codes of a file whose content is wrong: https://www.sqlite.org/rescode.html
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF  # the rest of a code tells more

KEY = "kernel, operation, code, device, toolchain, num_threads"
_KEY_COLUMNS = """
    kernel TEXT NOT NULL, operation TEXT NOT NULL, code TEXT NOT NULL, device TEXT NOT NULL,
    toolchain TEXT NOT NULL, num_threads INTEGER NOT NULL, schedule TEXT NOT NULL,"""
_TABLES = (
    f"""CREATE TABLE IF NOT EXISTS trials ({_KEY_COLUMNS}
        latency_us REAL, low_us REAL, high_us REAL, num_runs INTEGER NOT NULL,
        error TEXT NOT NULL, measured_at TEXT NOT NULL,
        PRIMARY KEY ({KEY}, schedule))""",
    f"""CREATE TABLE IF NOT EXISTS choices ({_KEY_COLUMNS}
        latency_us REAL NOT NULL, default_schedule TEXT NOT NULL,
        default_latency_us REAL NOT NULL, measured_at TEXT NOT NULL,
        PRIMARY KEY ({KEY}))""",
    f"""CREATE TABLE IF NOT EXISTS latencies (id TEXT PRIMARY KEY, {_KEY_COLUMNS}
        latency_us REAL NOT NULL, low_us REAL NOT NULL, high_us REAL NOT NULL,
        p95_us REAL NOT NULL, num_runs INTEGER NOT NULL, measured_at TEXT NOT NULL)""",
    f"CREATE INDEX IF NOT EXISTS latencies_by_key ON latencies ({KEY})",
    """CREATE TABLE IF NOT EXISTS profiles (id TEXT PRIMARY KEY, artifact TEXT NOT NULL,
        device TEXT NOT NULL, machine TEXT NOT NULL, options TEXT NOT NULL,
        begun_at TEXT NOT NULL, changed_at TEXT NOT NULL, process INTEGER NOT NULL,
        is_finished INTEGER NOT NULL, best_reference_us REAL)""",
    """CREATE TABLE IF NOT EXISTS rounds (profile TEXT NOT NULL, number INTEGER NOT NULL,
        facts TEXT NOT NULL, times BLOB NOT NULL, PRIMARY KEY (profile, number))""",
)


def database_path() -> Path:
    """Where the measurements of this user are."""
    return cache_folder() / FILE_NAME


class DamagedDatabaseError(StoreError):
    """The content of the file is not that of a database."""


class MeasurementDatabase(Closing):
    """An open database.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            DamagedDatabaseError: Its content is damaged.
            StoreError: It cannot be used, is another program's, or of another version.
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
        # With a write-ahead log, a killed process loses nothing, and power that fails
        # the last moments at most: https://www.sqlite.org/pragma.html#pragma_synchronous
        database.execute("PRAGMA synchronous = NORMAL")
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
        is_ours = application == APPLICATION_ID
        if is_ours and format_version == FORMAT:
            return
        is_new = not (application or format_version or num_tables)
        if not is_new and not (is_ours and format_version in OLDER_FORMATS):
            raise self._error(
                f"has format {format_version}, this version reads {FORMAT}"
                if is_ours
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

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
            raise self._error(f"cannot be used ({error})", code in _DAMAGED) from error
        except (ValueError, TypeError) as error:
            raise self._error(f"cannot be used ({error})") from error

    def _error(self, what: str, is_damaged: bool = False) -> StoreError:
        kind = DamagedDatabaseError if is_damaged else StoreError
        return kind(f"the store of measurements {self.path} {what}; delete it or set"
                    " OCTAVO_CACHE to another folder")


def set_aside(path: Path) -> Path:
    """Rename a damaged database, so that a new one takes its place and nothing is lost.

    Returns:
        Its new name: the first of ``.damaged-1``, ``.damaged-2``, ... that is free.

    Raises:
        StoreError: It cannot be renamed.
    """
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        for suffix in ("", "-wal", "-shm"):  # the parts that SQLite keeps beside the file
            part = path.with_name(path.name + suffix)
            if part.exists():
                os.replace(part, kept.with_name(kept.name + suffix))
    except OSError as error:
        raise StoreError(
            f"{path} is damaged and cannot be renamed: {error.strerror}"
        ) from error
    return kept
