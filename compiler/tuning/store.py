"""Trials of schedules, and what was concluded from them, in the database of measurements."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import astuple

from octavo.compiler.measurements.database import KEY, MeasurementDatabase
from octavo.compiler.measurements.key import Context, TuningKey, json_text
from octavo.compiler.tuning.records import Choice, Trial

_FIND = """SELECT kernel, operation, schedule, latency_us, default_schedule,
    default_latency_us, measured_at FROM choices
    WHERE code = ? AND device = ? AND toolchain = ? AND num_threads = ?"""


class TuningStore(MeasurementDatabase):
    """An open database, for tuning."""

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
            rows = self._database.execute(f"SELECT * FROM trials ORDER BY {KEY}").fetchall()
            return [
                Trial(TuningKey(row[0], row[1], Context(*row[2:6])), json.loads(row[6]),
                      *row[7:12])
                for row in rows
            ]


def _key_values(key: TuningKey) -> tuple[str | int, ...]:
    return key.kernel, key.operation, *astuple(key.context)


def _insert(database: sqlite3.Connection, table: str, values: tuple[object, ...]) -> None:
    marks = ", ".join("?" * len(values))
    with closing(database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", values)):
        pass
