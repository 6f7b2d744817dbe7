"""Profiles as they are measured: every round is kept when it ends, so that none is lost.

A profile that was not finished, because its process was killed or its device went away, can be
gone on with. The times of single runs are kept only until it is finished: what stays is a row
of latencies for each kernel.
"""

import json
import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from octavo.compiler.devices.latency import Disturbance, pack_times, read_times
from octavo.compiler.devices.measurement import Measurement, Round
from octavo.compiler.measurements.database import database_path, set_aside
from octavo.compiler.measurements.latencies import KernelLatency, LatencyStore
from octavo.compiler.sqlite_file import DamagedDatabaseError
from octavo.errors import DeviceError

# Longer ago, other conditions may have held.
CONTINUE_S = 3600.0
REMEMBER_S = 86_400.0  # how fast the device can be: a colder day may not be seen again


@dataclass(frozen=True)
class ProfileKey:
    """What two runs of a command must have in common for one to go on with the other.

    Attributes:
        artifact: Digest of its manifest.
        device: As the user names it.
        machine: The CPU, as keys of measurements have it, and what made the bench program:
            only in the same code does its loop of fixed work take the same time.
        options: How it is measured, and the inputs, as canonical JSON.
    """

    artifact: str
    device: str
    machine: str
    options: str


@dataclass(frozen=True)
class StoredProfile:
    """A profile that is being measured.

    Attributes:
        id: Tells it from all others.
        begun_at: UTC, ISO 8601.
        measured: Rounds that it has already.
    """

    id: str
    begun_at: str
    measured: Measurement


class ProfileStore(LatencyStore):
    """An open database, for profiles."""

    def begin(self, key: ProfileKey, *, is_fresh: bool = False) -> StoredProfile:
        """Go on with the newest unfinished profile of a key, or begin a new one.

        One that a living process measures is left alone. Times of single runs that are too old
        to go on with are removed.

        Args:
            key: What is measured.
            is_fresh: Give up unfinished ones, and begin a new one.

        Raises:
            StoreError: The file is damaged, or cannot be written.
        """
        oldest = _ago(CONTINUE_S)
        with self._translated(), self._database as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute(
                """DELETE FROM rounds WHERE profile IN
                (SELECT id FROM profiles WHERE changed_at < ?)""", (oldest,))
            rows = database.execute(
                """SELECT id, begun_at, process FROM profiles WHERE artifact = ?
                AND device = ? AND machine = ? AND options = ? AND is_finished = 0
                AND changed_at >= ? ORDER BY changed_at DESC""",
                (key.artifact, key.device, key.machine, key.options, oldest)).fetchall()
            for identity, begun_at, process in rows:
                if process != os.getpid() and _is_alive(process):
                    continue
                if is_fresh:
                    self._finish(identity)
                    continue
                database.execute(
                    "UPDATE profiles SET process = ? WHERE id = ?", (os.getpid(), identity))
                return StoredProfile(identity, begun_at, self._measured(identity))
            new = StoredProfile(uuid.uuid4().hex, _now(), Measurement())
            database.execute(
                "INSERT INTO profiles VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, NULL)",
                (new.id, key.artifact, key.device, key.machine, key.options, new.begun_at,
                 new.begun_at, os.getpid()))
            return new

    def add_round(
        self, profile: str, number: int, measured: Round, latencies: Iterable[KernelLatency]
    ) -> None:
        """Keep a round, and what all rounds of the profile say of the kernels: both or none.

        Args:
            profile: Its id.
            number: Of the round, from 0.
            measured: The round.
            latencies: Of the profile; each replaces that of the same id with fewer runs.

        Raises:
            StoreError: The file is damaged, or cannot be written.
        """
        facts = json.dumps(asdict(measured.disturbance))
        reference_us = measured.disturbance.typical_reference_us
        with self._translated(), self._database as database:
            database.execute(
                "INSERT INTO rounds VALUES (?, ?, ?, ?)",
                (profile, number, facts, pack_times(measured.times)))
            database.execute(
                """UPDATE profiles SET changed_at = ?1, best_reference_us = ifnull(
                min(best_reference_us, ?2), ifnull(best_reference_us, ?2)) WHERE id = ?3""",
                (_now(), reference_us, profile))
            self._insert(latencies)

    def finish(self, profile: str) -> None:
        """Have enough rounds: a profile of the same key will be a new one.

        Raises:
            StoreError: The file is damaged, or cannot be written.
        """
        with self._translated(), self._database:
            self._finish(profile)

    def _finish(self, profile: str) -> None:
        self._database.execute("UPDATE profiles SET is_finished = 1 WHERE id = ?", (profile,))
        self._database.execute("DELETE FROM rounds WHERE profile = ?", (profile,))

    def best_reference_us(self, device: str, machine: str) -> float | None:
        """Typical time of the loop of fixed work in the best round on a device of late.

        None without a round.

        Raises:
            StoreError: The file is damaged.
        """
        with self._translated():
            (best,) = self._database.execute(
                """SELECT min(best_reference_us) FROM profiles WHERE device = ?
                AND machine = ? AND changed_at >= ?""",
                (device, machine, _ago(REMEMBER_S))).fetchone()
            return None if best is None else float(best)

    def _measured(self, profile: str) -> Measurement:
        """Rounds up to the first that cannot be read; those from there on are removed."""
        rows = self._database.execute(
            "SELECT facts, times FROM rounds WHERE profile = ? ORDER BY number", (profile,)
        ).fetchall()
        rounds: list[Round] = []
        for facts, times in rows:
            try:
                known = json.loads(facts)
                known["reference_us"] = tuple(known["reference_us"])
                rounds.append(Round(read_times(profile, times), Disturbance(**known)))
            except (ValueError, KeyError, TypeError, DeviceError):
                self._database.execute(
                    "DELETE FROM rounds WHERE profile = ? AND number >= ?",
                    (profile, len(rounds)))
                break
        return Measurement(tuple(rounds))


def open_profiles(warn: Callable[[str], None]) -> ProfileStore:
    """The user's database; a damaged one is set aside.

    Args:
        warn: Told in one line what became of a damaged one.

    Raises:
        StoreError: It cannot be used, and not be set aside.
    """
    path = database_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return ProfileStore(path)
    except DamagedDatabaseError:
        kept = set_aside(path)
        warn(f"{path} is damaged: it is now {kept.name}, and a new one begins")
        return ProfileStore(path)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def _now() -> str:
    return _ago(0.0)


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
