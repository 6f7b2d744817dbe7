"""Profiles keep every round when it ends, and go on where they were interrupted."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.compiler.devices.android import connect

from octavo.compiler.artifact import write_artifact
from octavo.compiler.devices import find_device
from octavo.compiler.devices.latency import DeviceTimes, Disturbance
from octavo.compiler.devices.measurement import Round
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.measurements.kept_rounds import Keeper
from octavo.compiler.measurements.key import Context, TuningKey
from octavo.compiler.measurements.latencies import KernelLatency
from octavo.compiler.measurements.profiles import ProfileKey, ProfileStore
from octavo.compiler.measurements.profiling import measure_profile
from octavo.errors import StoreError, TargetError
from octavo.targets import get_target

KEY = ProfileKey("digest", "local", "a CPU", "{}")
TIMES = DeviceTimes(np.array([1.5, 2.5, 3.125]), np.array([[0.5], [0.25]]))
ROUND = Round(TIMES, Disturbance((7.5, 8.0), 3, 0.125, 2.0))
LATENCY = KernelLatency(
    TuningKey("conv", "{}", Context("code", "a CPU", "tools")), None,
    1.5, 1.0, 2.0, 3.0, 3, "2026-01-01T00:00:00+00:00", "p-0")
NUM_KILLS = 50
# Profiles the artifact until it is killed, and says after each round that it is kept.
PROFILER = """
import os, sys
from pathlib import Path
from octavo.compiler.devices import find_device
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.measurements import profiling
from octavo.compiler.measurements.profiles import ProfileStore

class Telling(ProfileStore):
    def add_round(self, profile, number, *rest):
        super().add_round(profile, number, *rest)
        os.write(1, f"{profile} {number}\\n".encode())

artifact, path, kills = sys.argv[1:]
plan = RoundPlan(seconds=1e6, tolerance=-1.0, warmup=0)  # never known well enough

def profile():
    with Telling(Path(path)) as store:
        profiling.measure_profile(
            find_device("local"), Path(artifact), plan, keeper=profiling.Keeper(store))

# Forked: to start takes long.
import random, signal, time
generator = random.Random(0)
for kill in range(int(kills)):
    child = os.fork()
    if child == 0:
        os.setsid()
        profile()
    time.sleep(generator.uniform(0.01, 0.3))
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.fixture
def store(tmp_path):
    with ProfileStore(tmp_path / "measurements.sqlite") as store:
        yield store


@pytest.fixture(scope="module")
def artifact(tmp_path_factory, make_add_program):
    folder = tmp_path_factory.mktemp("host") / "tiny"
    write_artifact(make_add_program(), get_target("host"), None, folder)
    return folder


def same(first, second):
    return (
        first.disturbance == second.disturbance
        and np.array_equal(first.times.runs_us, second.times.runs_us)
        and np.array_equal(first.times.steps_us, second.times.steps_us))


def test_an_unfinished_profile_is_gone_on_with(store):
    begun = store.begin(KEY)
    assert begun.measured.rounds == ()
    store.add_round(begun.id, 0, ROUND, [LATENCY])
    store.add_round(begun.id, 1, ROUND, [replace(LATENCY, latency_us=1.25, num_runs=6)])
    again = store.begin(KEY)
    assert (again.id, again.begun_at) == (begun.id, begun.begun_at)
    assert len(again.measured.rounds) == 2
    assert all(same(kept, ROUND) for kept in again.measured.rounds)
    (latency,) = store.latencies()
    assert (latency.latency_us, latency.num_runs) == (1.25, 6)


@pytest.mark.parametrize("change", ["artifact", "device", "machine", "options"])
def test_another_profile_is_another(store, change):
    begun = store.begin(KEY)
    store.add_round(begun.id, 0, ROUND, [])
    assert store.begin(replace(KEY, **{change: "other"})).id != begun.id


def test_a_finished_profile_is_not_gone_on_with_and_leaves_its_latencies(store):
    begun = store.begin(KEY)
    store.add_round(begun.id, 0, ROUND, [LATENCY])
    store.finish(begun.id)
    assert store.begin(KEY).measured.rounds == ()
    assert [latency.id for latency in store.latencies()] == ["p-0"]


def test_an_old_or_unwanted_profile_is_left_alone(store):
    begun = store.begin(KEY)
    store.add_round(begun.id, 0, ROUND, [])
    new = store.begin(KEY, is_fresh=True)
    assert new.id != begun.id
    store.finish(new.id)
    new = store.begin(KEY)  # not the one that was given up
    assert new.id != begun.id
    store.add_round(new.id, 0, ROUND, [])
    store._database.execute("UPDATE profiles SET changed_at = '2026-01-01'")
    store._database.commit()
    assert store.begin(KEY).id != new.id
    assert store._database.execute("SELECT count(*) FROM rounds").fetchone() == (0,)


def test_a_profile_that_another_process_measures_is_left_alone(store):
    begun = store.begin(KEY)
    with subprocess.Popen(["sleep", "60"]) as other:
        store._database.execute("UPDATE profiles SET process = ?", (other.pid,))
        store._database.commit()
        assert store.begin(KEY).id != begun.id
        other.kill()
    store._database.execute("DELETE FROM profiles WHERE id != ?", (begun.id,))
    store._database.commit()
    assert store.begin(KEY).id == begun.id


def test_rounds_that_cannot_be_read_are_measured_again(store):
    begun = store.begin(KEY)
    for number in range(3):
        store.add_round(begun.id, number, ROUND, [])
    store._database.execute("UPDATE rounds SET times = x'00' WHERE number = 1")
    store._database.commit()
    again = store.begin(KEY)
    assert len(again.measured.rounds) == 1
    store.add_round(again.id, 1, ROUND, [])
    assert len(store.begin(KEY).measured.rounds) == 2


def test_the_best_time_of_the_loop_stays_for_a_day(store):
    assert store.best_reference_us("local", "a CPU") is None
    for typical in (8.0, 7.0, 9.0, None):
        begun = store.begin(KEY)
        times = () if typical is None else (typical, 5.0, 10.0)
        measured = replace(ROUND, disturbance=Disturbance(times))
        store.add_round(begun.id, len(begun.measured.rounds), measured, [])
    store.finish(begun.id)
    assert store.best_reference_us("local", "a CPU") == 7.0
    assert store.best_reference_us("adb", "a CPU") is None
    store._database.execute("UPDATE profiles SET changed_at = '2026-01-01'")
    store._database.commit()
    assert store.best_reference_us("local", "a CPU") is None


def test_a_profile_goes_on_after_its_device_went_away(
    store, artifact, tmp_path, monkeypatch
):
    android = connect(tmp_path / "android", monkeypatch)
    device, gone = find_device("adb:PIXEL8"), android / "PIXEL8.gone"
    plan = RoundPlan(runs=60)
    resumed = []
    keeper = Keeper(store, resume=resumed.append)
    add_round = store.add_round

    def unplug(profile, number, *rest):
        add_round(profile, number, *rest)
        if number == 2:
            gone.touch()

    monkeypatch.setattr(store, "add_round", unplug)
    first = measure_profile(device, artifact, plan, keeper=keeper)
    assert "not found" in first.measured.failure
    assert len(first.measured.rounds) == 3
    gone.unlink()
    second = measure_profile(device, artifact, plan, keeper=keeper)
    assert second.measured.failure == ""
    assert second.num_earlier == 3
    assert len(resumed) == 1
    assert second.measured.runs_us.size == 60
    assert all(map(same, first.measured.rounds, second.measured.rounds[:3]))
    third = measure_profile(device, artifact, plan, keeper=keeper)
    assert third.num_earlier == 0


def test_what_cannot_be_kept_is_still_measured(store, artifact, monkeypatch):
    told = []

    def fail(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "add_round", fail)
    keeper = Keeper(store, warn=told.append)
    profile = measure_profile(
        find_device("local"), artifact, RoundPlan(runs=12), keeper=keeper)
    assert profile.measured.runs_us.size == 12
    assert told == ["not kept: the disk is full"]


def test_cores_that_are_not_there_are_refused_before_anything_is_measured(store, artifact):
    with pytest.raises(TargetError, match="--cores 999: local has the CPUs"):
        measure_profile(
            find_device("local"), artifact, RoundPlan(), cores="999", keeper=Keeper(store))
    assert store._database.execute("SELECT count(*) FROM profiles").fetchone() == (0,)


def test_a_killed_profile_loses_no_round_and_goes_on(artifact, tmp_path):
    path = tmp_path / "measurements.sqlite"
    ProfileStore(path).close()
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(["src", ".", *sys.path]))
    command = [sys.executable, "-c", PROFILER, artifact, path, NUM_KILLS]
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=300,
        check=False)
    assert done.returncode == 0, done.stderr
    told = [line.split() for line in done.stdout.splitlines()]
    assert len(told) > NUM_KILLS / 5  # a busy machine kills many before their first round
    assert len({profile for profile, _ in told}) == 1  # all went on with the first one
    numbers = [int(number) for _, number in told]
    assert numbers == sorted(set(numbers))
    with ProfileStore(path) as store:
        rounds = store._database.execute("SELECT count(*) FROM rounds").fetchone()[0]
        # Each may have kept one that it did not say.
        assert numbers[-1] < rounds <= len(numbers) + NUM_KILLS
        ended = measure_profile(
            find_device("local"), artifact, RoundPlan(seconds=0.0, warmup=0),
            keeper=Keeper(store))
        assert ended.measured.failure == ""
        assert ended.num_earlier == rounds
        assert len(ended.measured.rounds) == rounds + 1
        after = measure_profile(
            find_device("local"), artifact, RoundPlan(seconds=0.0, warmup=0),
            keeper=Keeper(store))
    assert after.num_earlier == 0
