"""What a search has measured, in a file: a search that was killed goes on from it.

Every measurement is a transaction of its own, written when it is made. A configuration is
measured in parts, accuracy and latency, and a part that is there is never measured again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.compiler.mixed_precision.evaluator import Question
from octavo.compiler.sqlite_file import FileFormat, SqliteFile
from octavo.errors import ArtifactError

FILE_NAME = "search.sqlite"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS measurements (number INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL, configurations TEXT NOT NULL, measured TEXT NOT NULL,
        error TEXT, UNIQUE (kind, configurations))""",
)
FORMAT = FileFormat(
    name="journal of a search",
    advice="--force begins anew",
    application_id=0x4F435453,  # "OCTS"
    version=1,
    tables=_TABLES,
    busy_timeout_s=10.0,
)


@dataclass(frozen=True)
class Measured:
    """What became of a question.

    Attributes:
        values: By name; empty if it failed.
        error: Why it failed.
    """

    values: Mapping[str, float]
    error: str | None = None


class Journal(SqliteFile):
    """An open journal; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it; errors as ``SqliteFile`` has them."""
        super().__init__(path, FORMAT, autocommit=True)

    def bind(self, settings: Mapping[str, Any]) -> None:
        """Hold the settings of the search: those of a journal never change.

        Raises:
            ArtifactError: The search in the journal had others; it names the first of them.
        """
        stored = self.fact("settings")
        if stored is None:
            self.keep_fact("settings", dict(settings))
            return
        now = json.loads(json.dumps(dict(settings)))
        for name in (*now, *stored):
            if stored.get(name) != now.get(name):
                raise ArtifactError(
                    f"the search in {self.path.parent} had {name} ="
                    f" {stored.get(name)!r}, this one has {now.get(name)!r}; --force begins"
                    " anew, or choose another folder"
                )

    def fact(self, name: str) -> Any:
        """A JSON value by name, None where there is none."""
        with self._translated():
            row = self._database.execute(
                "SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def keep_fact(self, name: str, value: Any) -> None:
        """Write a JSON value once."""
        with self._translated():
            self._database.execute(
                "INSERT INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def keep(self, question: Question, measured: Measured) -> None:
        """Write what became of a question.

        Raises:
            StoreError: It was there, or cannot be written.
        """
        row = (
            question.kind, json.dumps(question.configurations),
            json.dumps(dict(measured.values)), measured.error)  # fmt: skip
        with self._translated():
            self._database.execute(
                "INSERT INTO measurements (kind, configurations, measured, error)"
                " VALUES (?, ?, ?, ?)", row)  # fmt: skip

    def measurements(self) -> dict[Question, Measured]:
        """Everything that was measured, in the order of writing."""
        with self._translated():
            rows = self._database.execute(
                "SELECT kind, configurations, measured, error FROM measurements"
                " ORDER BY number"
            ).fetchall()
        return {
            Question(kind, _tuples(json.loads(configurations))): Measured(
                json.loads(measured), error)
            for kind, configurations, measured, error in rows
        }


def _tuples(value: Any) -> Any:
    """JSON has lists where questions have tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
