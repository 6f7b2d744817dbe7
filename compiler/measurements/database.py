"""The file that measurements are kept in: an SQLite database in the cache folder.

Several processes may read and write it at once (write-ahead log), and one that is killed takes
nothing along that it had finished writing. Every measurement is kept.
"""

import os
from pathlib import Path

from octavo.compiler.artifact.toolchain import cache_folder
from octavo.compiler.sqlite_file import FileFormat, SqliteFile
from octavo.errors import StoreError

FILE_NAME = "measurements.sqlite"

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
_FORMAT = FileFormat(
    name="store of measurements",
    advice="delete it or set OCTAVO_CACHE to another folder",
    application_id=0x4F435456,  # "OCTV"
    version=3,
    older_versions=(1, 2),
    tables=_TABLES,
)


def database_path() -> Path:
    """Where the measurements of this user are."""
    return cache_folder() / FILE_NAME


class MeasurementDatabase(SqliteFile):
    """An open database."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it; errors as ``SqliteFile`` has them."""
        super().__init__(path, _FORMAT)


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
