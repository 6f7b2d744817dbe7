"""An SQLite file of ours, told from those of other programs.

Several processes may use it at once.
A process that is killed takes nothing along that it had finished writing.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from octavo.compiler.closing import Closing
from octavo.errors import StoreError

# Primary result codes of a file whose content is wrong: https://www.sqlite.org/rescode.html
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF  # the rest of a code tells more


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """What a file holds.

    Attributes:
        name: What a person calls it: "store of measurements".
        advice: What to do about one that cannot be used.
        application_id: Tells the file from other programs' databases.
        version: Raised when older versions would misread the tables.
        older_versions: Those that only lack tables.
        tables: CREATE ... IF NOT EXISTS statements.
        busy_timeout_s: How long to wait for others who are writing.
    """

    name: str
    advice: str
    application_id: int
    version: int
    older_versions: tuple[int, ...] = ()
    tables: tuple[str, ...] = ()
    busy_timeout_s: float = 30.0


class DamagedDatabaseError(StoreError):
    """The content of the file is not that of a database."""


class SqliteFile(Closing):
    """An open file.

    Attributes:
        path: The file.
    """

    def __init__(
        self, path: Path, file_format: FileFormat, *, autocommit: bool = False
    ) -> None:
        """Open the file, or make it.

        Args:
            path: The file.
            file_format: What it holds.
            autocommit: Write each statement as it is executed; else ``with`` the database.

        Raises:
            DamagedDatabaseError: Its content is damaged.
            StoreError: It cannot be used, is another program's, or of another version.
        """
        self.path = path
        self._format = file_format
        level: Literal["DEFERRED"] | None = None if autocommit else "DEFERRED"
        with self._translated():
            self._database = sqlite3.connect(
                path, timeout=file_format.busy_timeout_s, isolation_level=level
            )
        try:
            with self._translated():
                self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _prepare(self) -> None:
        database, form = self._database, self._format
        # With a write-ahead log, a killed process loses nothing, and power that fails
        # the last moments at most: https://www.sqlite.org/pragma.html#pragma_synchronous
        database.execute("PRAGMA synchronous = NORMAL")
        with database:
            database.execute("BEGIN")  # one state, while others may be making the tables
            application, version, num_tables = (
                database.execute(query).fetchone()[0]
                for query in (
                    "PRAGMA application_id",
                    "PRAGMA user_version",
                    "SELECT count(*) FROM sqlite_master",
                )
            )
        is_ours = application == form.application_id
        if is_ours and version == form.version:
            return
        is_new = not (application or version or num_tables)
        if not is_new and not (is_ours and version in form.older_versions):
            raise self._error(
                f"has format {version}, this version reads {form.version}"
                if is_ours
                else f"is no {form.name}"
            )
        database.execute("PRAGMA journal_mode = WAL")
        # Another process may be doing the same: one transaction, only IF NOT EXISTS.
        with database:
            database.execute("BEGIN IMMEDIATE")
            for table in form.tables:
                database.execute(table)
            database.execute(f"PRAGMA application_id = {form.application_id}")
            database.execute(f"PRAGMA user_version = {form.version}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn errors of SQLite, and of values that it cannot hold, into StoreError."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
            raise self._error(f"cannot be used ({error})", code in _DAMAGED) from error
        except (ValueError, TypeError) as error:
            raise self._error(f"cannot be used ({error})") from error

    def _error(self, what: str, is_damaged: bool = False) -> StoreError:
        kind = DamagedDatabaseError if is_damaged else StoreError
        return kind(f"the {self._format.name} {self.path} {what}; {self._format.advice}")
