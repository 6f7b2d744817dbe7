"""Latencies of kernels, as they were measured on devices: every measurement is a row."""

import json
import math
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any

from octavo.compiler.measurements.database import KEY, MeasurementDatabase
from octavo.compiler.measurements.key import Context, TuningKey, json_text
from octavo.errors import DataError
from octavo.targets.schedule import ScheduleRecord

_COLUMNS = f"id, {KEY}, schedule, latency_us, low_us, high_us, p95_us, num_runs, measured_at"
_NUM_COLUMNS = _COLUMNS.count(",") + 1
# A row that is there already has become better known when more runs are behind the new one.
_UPDATE = """ON CONFLICT (id) DO UPDATE SET latency_us = excluded.latency_us,
    low_us = excluded.low_us, high_us = excluded.high_us, p95_us = excluded.p95_us,
    num_runs = excluded.num_runs, measured_at = excluded.measured_at
    WHERE excluded.num_runs > num_runs"""
_INSERT = f"INSERT INTO latencies VALUES ({', '.join('?' * _NUM_COLUMNS)}) {_UPDATE}"


def _new_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True)
class KernelLatency:
    """One measurement of one kernel call.

    Attributes:
        key: The kernel's variant, its operation, and where and with what it was measured.
        schedule: Loop decisions; None where the kernel has none to make.
        latency_us: Median, microseconds.
        low_us: 25th percentile.
        high_us: 75th percentile.
        p95_us: 95th percentile.
        num_runs: Runs behind them, at least 1.
        measured_at: UTC, ISO 8601.
        id: Tells it from every other measurement, wherever it was made.
    """

    key: TuningKey
    schedule: ScheduleRecord | None
    latency_us: float
    low_us: float
    high_us: float
    p95_us: float
    num_runs: int
    measured_at: str
    id: str = field(default_factory=_new_id)


@dataclass(frozen=True)
class DeviceStatistics:
    """What the database has of one device.

    Attributes:
        device: The CPU, with caches and features.
        code: What the kernels were generated for.
        toolchain: Versions of what generated them.
        num_measurements: Rows.
        num_operations: Kernels with an operation among them.
        first_at: UTC, ISO 8601, of the oldest.
        last_at: Of the newest.
    """

    device: str
    code: str
    toolchain: str
    num_measurements: int
    num_operations: int
    first_at: str
    last_at: str


class LatencyStore(MeasurementDatabase):
    """An open database, for latencies."""

    def add(self, latencies: Iterable[KernelLatency]) -> int:
        """Keep measurements, all or none of them.

        Those that are there already stay, unless more runs are behind the new ones.

        Returns:
            How many were new, or better known.

        Raises:
            StoreError: The file is damaged, or cannot be written.
        """
        with self._translated(), self._database:
            return self._insert(latencies)

    def _insert(self, latencies: Iterable[KernelLatency]) -> int:
        """``add``, as a part of a transaction."""
        before = self._database.total_changes
        self._database.executemany(_INSERT, [_row(latency) for latency in latencies])
        return self._database.total_changes - before

    def latencies(self) -> Iterator[KernelLatency]:
        """Every measurement, by key and time.

        Raises:
            StoreError: The file is damaged.
        """
        query = f"SELECT {_COLUMNS} FROM latencies ORDER BY {KEY}, measured_at, id"
        with self._translated():
            for row in self._database.execute(query):
                yield _latency(row)

    def merge(self, path: Path) -> int:
        """Take over what another database has and this one lacks.

        A choice of a schedule that both have made is that of the newer one.

        Args:
            path: The other file; it is not changed, but for a newer format.

        Returns:
            How many latencies and trials were new, or better known.

        Raises:
            StoreError: One of the files is damaged, or the other one is no database of
                measurements.
        """
        MeasurementDatabase(path).close()  # says what is wrong with it, by its name
        with self._translated():
            self._database.execute("ATTACH DATABASE ? AS other", (str(path),))
            try:
                with self._database as database:
                    before = database.total_changes
                    # "WHERE true" keeps the ON of _UPDATE from being taken for a join's.
                    for table, rest in (("latencies", f"WHERE true {_UPDATE}"),
                                        ("trials", "WHERE true ON CONFLICT DO NOTHING")):
                        database.execute(
                            f"INSERT INTO main.{table} SELECT * FROM other.{table} {rest}")
                    num_new = database.total_changes - before
                    database.execute(
                        f"""INSERT OR REPLACE INTO main.choices SELECT * FROM other.choices o
                        WHERE NOT EXISTS (SELECT 1 FROM main.choices m
                        WHERE (m.{', m.'.join(KEY.split(', '))})
                        = (o.{', o.'.join(KEY.split(', '))})
                        AND m.measured_at >= o.measured_at)""")
                return num_new
            finally:
                self._database.execute("DETACH DATABASE other")

    def with_ids(self, beginning: str) -> list[KernelLatency]:
        """Measurements whose ids begin with a text, by id.

        Args:
            beginning: Letters, digits and hyphens.

        Raises:
            StoreError: The file is damaged.
        """
        query = f"SELECT {_COLUMNS} FROM latencies WHERE id GLOB ? ORDER BY id"
        with self._translated():
            rows = self._database.execute(query, (f"{beginning}*",)).fetchall()
            return [_latency(row) for row in rows]

    def statistics(self) -> list[DeviceStatistics]:
        """What there is, by device, code and toolchain."""
        with self._translated():
            rows = self._database.execute(
                """SELECT device, code, toolchain, count(*),
                count(DISTINCT kernel || char(10) || operation), min(measured_at),
                max(measured_at) FROM latencies GROUP BY device, code, toolchain
                ORDER BY device, code, max(measured_at)""").fetchall()
            return [DeviceStatistics(*row) for row in rows]


def _row(latency: KernelLatency) -> tuple[object, ...]:
    key = latency.key
    return (
        latency.id, key.kernel, key.operation, *astuple(key.context),
        json_text(latency.schedule), latency.latency_us, latency.low_us, latency.high_us,
        latency.p95_us, latency.num_runs, latency.measured_at)


def _latency(row: tuple[Any, ...]) -> KernelLatency:
    identity, kernel, operation, *context = row[:7]
    schedule, latency_us, low_us, high_us, p95_us, num_runs, measured_at = row[7:]
    return KernelLatency(
        TuningKey(kernel, operation, Context(*context)), json.loads(schedule),
        latency_us, low_us, high_us, p95_us, num_runs, measured_at, identity)


def to_line(latency: KernelLatency) -> str:
    """One measurement as a line of JSON."""
    record = asdict(latency)
    key = record.pop("key")
    return json_text(
        record | key.pop("context") | key | {"operation": json.loads(key["operation"])})


def from_line(line: str, number: int) -> KernelLatency:
    """Read what ``to_line`` wrote.

    Args:
        line: JSON.
        number: Of the line, for the message.

    Raises:
        DataError: It is no measurement.
    """
    try:
        record = json.loads(line)
        texts = {
            name: _text(record[name])
            for name in ("kernel", "code", "device", "toolchain", "measured_at", "id")}
        times = {
            name: _time(record[name])
            for name in ("latency_us", "low_us", "high_us", "p95_us")}
        num_threads, num_runs = (_count(record[name]) for name in ("num_threads", "num_runs"))
        operation, schedule = dict(record["operation"]), record["schedule"]
        if not (schedule is None or isinstance(schedule, dict)):
            raise ValueError("schedule")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"line {number} is no measurement ({type(error).__name__}: {error})"
        ) from error
    context = Context(texts["code"], texts["device"], texts["toolchain"], num_threads)
    key = TuningKey(texts["kernel"], json_text(operation), context)
    return KernelLatency(
        key, schedule, **times, num_runs=num_runs, measured_at=texts["measured_at"],
        id=texts["id"])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _time(value: Any) -> float:
    time = float(value)
    if not (math.isfinite(time) and time >= 0):
        raise ValueError(f"{value!r} is no time")
    return time


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is no count")
    return value
