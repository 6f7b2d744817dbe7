"""What a device tells of its CPUs, clocks and temperatures, over its shell or here."""

import re
from dataclasses import replace

import numpy as np
import pytest
from tests.compiler.devices.phone import write_phone

from octavo.compiler.devices import find_device
from octavo.compiler.devices.conditions import (
    PATTERNS,
    Conditions,
    CpuState,
    Zone,
    conditions_of,
    read_conditions,
)
from octavo.compiler.devices.cores import cpus_text, find_cpus, parse_cpus
from octavo.compiler.devices.latency import DeviceTimes, Disturbance
from octavo.compiler.devices.measurement import Measurement, Round
from octavo.compiler.devices.noise import Surroundings, judge
from octavo.compiler.devices.system_files import local_files
from octavo.errors import TargetError


@pytest.fixture
def phone(android, host_artifact):
    write_phone(android / "PIXEL8")
    with find_device("adb:PIXEL8").deploy(host_artifact) as deployment:
        yield deployment


def test_a_phone_tells_of_its_clocks_and_temperatures(phone):
    conditions = read_conditions(phone)
    assert conditions.num_cpus == 6
    assert conditions.cpus[5] == CpuState(5, "schedutil", 1_200_000, 2_800_000, 2_800_000)
    assert conditions.zones == (Zone("battery", 30.0, 80.0), Zone("cpu", 41.0, 80.0))
    assert conditions.load == 0.42
    assert conditions.busy_s == 10.0


def test_a_shell_and_this_machine_give_the_same_files(ssh, host_artifact):
    patterns = [p for p in PATTERNS if p.startswith("/sys")] + ["/proc/cpuinfo"]
    with ssh.deploy(host_artifact) as deployment:
        files = deployment.system_files(patterns)
    with find_device("local").deploy(host_artifact) as deployment:
        here = deployment.system_files(patterns)
    assert set(files) == set(here)
    assert files["/proc/cpuinfo"].splitlines()[0] == here["/proc/cpuinfo"].splitlines()[0]


def test_a_system_that_tells_nothing_has_no_conditions(tmp_path):
    assert conditions_of(local_files(PATTERNS, tmp_path)) == Conditions()
    assert conditions_of({"/proc/stat": "?", "/proc/loadavg": "x"}) == Conditions()


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("all", ()), ("big", (4, 5)), ("little", (0, 1, 2, 3)), ("0,2-3", (0, 2, 3))],
)
def test_cores_are_found_by_their_speed(phone, text, cpus):
    assert find_cpus(text, phone, 1) == cpus


@pytest.mark.parametrize(
    ("text", "threads", "message"),
    [("6", 1, "adb:PIXEL8 has the CPUs 0-5"), ("big", 3, "3 threads do not fit on 2 CPUs")],
)
def test_cores_that_are_not_there_are_refused(phone, text, threads, message):
    with pytest.raises(TargetError, match=f"--cores {text}: .*{message}"):
        find_cpus(text, phone, threads)


def test_cores_that_are_alike_have_no_big_ones(host_artifact, tmp_path):
    with find_device("local").deploy(host_artifact) as deployment:
        alike = replace(deployment, system=tmp_path)
        with pytest.raises(TargetError, match="the CPUs of local are alike; allowed: all, or"):
            find_cpus("big", alike, 1)


@pytest.mark.parametrize("text", ["", "a", "1-", "3-1", "-1", "1024", "0,,1", "0-9999"])
def test_what_is_no_list_of_cpus_is_refused(text):
    with pytest.raises(ValueError, match="is no list of CPUs"):
        parse_cpus(text)


def test_a_list_of_cpus_has_a_short_form():
    assert parse_cpus("7,0, 2-4,3") == (0, 2, 3, 4, 7)
    assert cpus_text((0, 2, 3, 4, 7)) == "0,2-4,7"


STEADY = Measurement(tuple(
    Round(DeviceTimes(np.full(9, 100.0 + i / 10), np.empty((0, 0))),
          Disturbance((5.0, 5.01, 5.02), 0, 0.0, 1.0))
    for i in range(8)), computed_s=8.0)
QUIET = Surroundings(Conditions(num_cpus=2), Conditions(num_cpus=2, busy_s=8.5), 10.0)


def with_rounds(**changes):
    return replace(STEADY, rounds=tuple(
        replace(r, disturbance=replace(r.disturbance, **changes)) for r in STEADY.rounds))


def with_times(times_us):
    return replace(STEADY, rounds=tuple(
        replace(r, times=DeviceTimes(np.full(9, time), np.empty((0, 0))))
        for r, time in zip(STEADY.rounds, times_us, strict=True)))


def after(**changes):
    return replace(QUIET, after=replace(QUIET.after, **changes))


def test_a_quiet_machine_is_steady():
    noise = judge(STEADY, QUIET)
    assert noise.is_steady
    assert noise.notes == ()


@pytest.mark.parametrize(
    ("measured", "around", "reason"),
    [
        (replace(STEADY, rounds=STEADY.rounds[:5]), QUIET, "5 rounds are too few"),
        (with_times([90, 91, 92, 100, 101, 108, 109, 110]), QUIET, "known to 10.0% only"),
        (replace(STEADY, rounds=(
            STEADY.rounds[0], *with_rounds(reference_us=(5.01, 5.51, 5.51)).rounds[1:])),
         QUIET, "fixed work took 10% longer"),
        (STEADY, replace(QUIET, best_reference_us=4.0), "fixed work took 25% longer"),
        (with_rounds(waited_share=0.2, num_preemptions=4), QUIET, "in 20% .* it 32 times"),
        (STEADY, after(busy_s=18.0), "other programs kept 1.0 of 2 CPUs at work"),
        (STEADY, after(stolen_s=2.0), "host of this virtual machine gave 10%"),
    ],
)  # fmt: skip
def test_noise_is_told_with_its_evidence(measured, around, reason):
    noise = judge(measured, around)
    assert not noise.is_steady
    (told,) = noise.reasons
    assert re.search(reason, told)


def test_clocks_that_fall_and_heat_are_noise_and_governors_a_note(tmp_path):
    def state(**changes):
        write_phone(tmp_path, **changes)
        return conditions_of(local_files(PATTERNS, tmp_path))

    cool, hot = state(), state(limit_khz=1_800_000, temperature=85_000, busy=1800)
    noise = judge(STEADY, Surroundings(cool, hot, 10.0, cpus=(4, 5)))
    assert noise.reasons == (
        "the highest clock that is allowed fell from 2.80 to 1.80 GHz",
        "cpu is at 85 degrees C: from 80 on the system slows the processor down")
    assert noise.notes == (
        "the clock of CPUs 4-5 is set by the governor schedutil, not performance: it may"
        " change while runs are measured",
        "the clock of CPUs 4-5 is limited to 1.80 of 2.80 GHz")
    small = judge(STEADY, Surroundings(cool, replace(hot, zones=()), 10.0, cpus=(0, 1)))
    assert small.is_steady
    steady = state(governor="performance", busy=1800)
    assert judge(STEADY, Surroundings(cool, steady, 10.0)).notes == ()
