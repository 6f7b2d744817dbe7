"""Devices behind SSH and adb run artifacts as this machine does, and say when they go."""

import os
import shutil
import signal
import subprocess
import threading
import time

import numpy as np
import pytest

from octavo.compiler.devices import find_device
from octavo.compiler.devices.adb import connected_devices
from octavo.compiler.devices.inference import run_inference
from octavo.compiler.devices.latency import read_times
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds
from octavo.compiler.roofline.machine import this_machine
from octavo.errors import AddressError, ArtifactError, DeviceError, TargetError

SLEEP_S = 40


def put(deployment, line):
    """Let the deployed program be a shell script."""
    script = f"printf '#!/bin/sh\\n%s\\n' '{line}' > {deployment.folder}/bench"
    assert deployment.shell.run(script).code == 0


@pytest.fixture(params=["ssh", "android"])
def device(request):
    way = request.getfixturevalue(request.param)
    return way if request.param == "ssh" else find_device("adb:PIXEL8")


def test_a_device_computes_what_this_machine_does(device, host_artifact, example):
    inputs, expected = example
    outputs = run_inference(device, host_artifact, inputs, num_threads=2)
    np.testing.assert_array_equal(outputs["y"], expected)
    local = run_inference(find_device("local"), host_artifact, inputs)
    assert list(outputs) == list(local)
    for name, array in local.items():
        np.testing.assert_array_equal(outputs[name], array)


def test_times_are_those_of_every_run_and_step(device, host_artifact, example):
    with device.deploy(host_artifact) as deployment:
        (measured,) = measure_rounds([deployment], RoundPlan(runs=7, warmup=1), example[0])
        assert deployment.machine() == this_machine()
    assert measured.failure == ""
    assert len(measured.rounds) == 6
    assert measured.runs_us.shape == (7,)
    assert measured.steps_us.shape[1] == 7
    assert (measured.runs_us > 0).all()
    # A step is a part of a run; both carry what else the machine does meanwhile.
    assert measured.steps_us.min(axis=1).sum() < 1000 * measured.runs_us.max()


def test_nothing_stays_on_the_device(device, host_artifact):
    with device.deploy(host_artifact) as deployment:
        folder = deployment.folder
        listed = deployment.shell.run(f"ls {folder}").output
        assert listed.split() == [b"bench", b"weights.bin"]
    with device.deploy(host_artifact) as deployment:
        assert deployment.shell.run(f"ls {folder}").code != 0


def test_a_program_that_fails_says_why(device, host_artifact):
    with device.deploy(host_artifact) as deployment:
        with pytest.raises(DeviceError, match="bench: --runs: not a number in the allowed"):
            deployment.run(["--runs", "0"])
        with pytest.raises(DeviceError, match="No such file"):
            deployment.fetch("output7")
        put(deployment, "kill -SEGV $$")
        with pytest.raises(DeviceError, match=r"code 139|Segmentation fault"):
            deployment.run([])


def test_a_run_that_takes_too_long_is_ended_on_the_device_too(device, host_artifact):
    with device.deploy(host_artifact) as deployment:
        put(deployment, f"echo $$ > number; exec sleep {SLEEP_S}")
        with pytest.raises(DeviceError, match=r"no answer within 1\.5 s"):
            deployment.run([], timeout_s=1.5)
        end = time.monotonic() + SLEEP_S / 2
        runs = f"kill -0 $(cat {deployment.folder}/number)"
        assert deployment.fetch("number")
        while deployment.shell.run(runs).code == 0 and time.monotonic() < end:
            time.sleep(0.1)
        assert deployment.shell.run(runs).code != 0


def test_code_of_another_architecture_is_refused_with_both_names(
    device, foreign_artifact, example
):
    with pytest.raises(TargetError, match=r"arm64-dotprod \(aarch64\); \S+ is ") as caught:
        run_inference(device, foreign_artifact, example[0])
    assert caught.value.exit_code == 2


def test_a_changed_artifact_is_not_sent(device, host_artifact, example, tmp_path):
    shutil.copytree(host_artifact, tmp_path / "a")
    (tmp_path / "a" / "bench").write_bytes(b"\x7fELF")
    with pytest.raises(ArtifactError, match="changed after the artifact was built"):
        run_inference(device, tmp_path / "a", example[0])


def test_an_ssh_connection_that_breaks_ends_the_run(ssh, ssh_server, host_artifact):
    with ssh.deploy(host_artifact) as deployment:
        put(deployment, f"sleep {SLEEP_S}")
        cut = threading.Timer(0.5, _signal_sessions, (ssh_server, signal.SIGKILL))
        cut.start()
        with pytest.raises(DeviceError, match=r"^ssh://.*: the connection was lost") as caught:
            deployment.run([], timeout_s=SLEEP_S / 2)
        assert caught.value.exit_code == 4
        with pytest.raises(DeviceError, match="the connection was lost"):
            deployment.fetch("output0")


def test_an_ssh_device_that_falls_silent_ends_with_the_time(ssh, ssh_server, host_artifact):
    with ssh.deploy(host_artifact) as deployment:
        stopped = ssh_server.sessions()
        _signal_sessions(ssh_server, signal.SIGSTOP)
        start = time.monotonic()
        try:
            with pytest.raises(DeviceError, match="no answer within 1 s"):
                deployment.run(["--runs", "1"], timeout_s=1)
            assert time.monotonic() - start < 20
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)


def _signal_sessions(server, number):
    for pid in server.sessions():
        os.kill(pid, number)


def test_an_android_device_that_is_unplugged_ends_the_run(android, host_artifact, example):
    gone = android / "PIXEL8.gone"
    device = find_device("adb:PIXEL8")
    with device.deploy(host_artifact) as deployment:
        put(deployment, f"sleep {SLEEP_S}")
        cut = threading.Timer(0.5, gone.touch)
        cut.start()
        assert deployment.run([], timeout_s=SLEEP_S / 2) == ""  # what adb makes of it
        with pytest.raises(DeviceError, match="device 'PIXEL8' not found") as caught:
            deployment.fetch("samples")
    assert caught.value.exit_code == 4
    with pytest.raises(DeviceError, match="adb:PIXEL8: adb: device 'PIXEL8' not found"):
        run_inference(device, host_artifact, example[0])


def test_the_only_android_device_needs_no_serial(android, host_artifact, example):
    outputs = run_inference(find_device("adb"), host_artifact, example[0])
    np.testing.assert_array_equal(outputs["y"], example[1])
    (android / "serials").write_text("PIXEL8 OTHER1")
    with pytest.raises(DeviceError, match="more than one device"):
        run_inference(find_device("adb"), host_artifact, example[0])


def test_connected_android_devices_are_listed_with_their_state(android, monkeypatch):
    found = connected_devices()
    assert [(d.serial, d.state, d.model) for d in found] == [
        ("PIXEL8", "device", "Pixel_8"), ("LOCKED1", "unauthorized", "")]
    monkeypatch.setenv("ADB", "/nowhere/adb")
    assert connected_devices() is None


def test_a_host_that_refuses_is_named(ssh, ssh_server, monkeypatch, host_artifact, example):
    nobody = find_device("ssh://127.0.0.1:1")
    with pytest.raises(DeviceError, match=r"^ssh://127\.0\.0\.1:1: .*refused"):
        run_inference(nobody, host_artifact, example[0])
    monkeypatch.setenv("OCTAVO_SSH_COMMAND", "/nowhere/ssh")
    with pytest.raises(DeviceError, match=r"cannot run /nowhere/ssh: No such file"):
        run_inference(ssh, host_artifact, example[0])


@pytest.mark.parametrize(
    "address",
    [
        "board", "", "ssh://", "ssh://-oProxyCommand=x", "ssh://-l@host", "ssh://a b",
        "ssh://user:secret@host", "ssh://host:port", "ssh://host:99999", "ssh://host/folder",
        "ssh://@host", "ssh://host?x", "ssh://$(x)", "adb:-x", "adb:a b", "adbx",
    ],
)  # fmt: skip
def test_addresses_of_no_known_form_are_refused(address):
    with pytest.raises(AddressError) as caught:
        find_device(address)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("ssh://pi@raspberrypi.local:2222", "ssh://pi@raspberrypi.local:2222"),
        ("ssh://board", "ssh://board"),
        ("ssh://[fe80::1%eth0]:22", "ssh://[fe80::1%eth0]:22"),
        ("adb:192.168.1.5:5555", "adb:192.168.1.5:5555"),
        ("adb:emulator-5554", "adb:emulator-5554"),
        ("adb:", "adb"),
    ],
)
def test_a_device_is_named_by_its_address(address, name):
    assert find_device(address).name == name


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"\0" * 24, b"\1" + b"\0" * 31 + b"x"])
def test_a_damaged_file_of_times_is_refused(data):
    with pytest.raises(DeviceError, match="the file of measured times is damaged"):
        read_times("board", data)


def test_a_program_stays_on_its_cpus_and_says_what_disturbed_it(device, host_artifact):
    with device.deploy(host_artifact) as deployment:
        plan = RoundPlan(runs=6, cpus=(0,))
        (measured,) = measure_rounds([deployment], plan)
        assert measured.failure == ""
        for measured_round in measured.rounds:
            noticed = measured_round.disturbance
            assert len(noticed.reference_us) == 3
            assert min(noticed.reference_us) > 1.0
            assert noticed.computed_s > 0
            assert 0 <= noticed.waited_share <= 1
        (refused,) = measure_rounds([deployment], RoundPlan(runs=6, cpus=(1023,)))
    assert "the system does not allow these CPUs: 1023" in refused.failure


def test_the_bench_program_is_kept_on_the_cpus_of_a_list(host_artifact):
    cpu = max(os.sched_getaffinity(0))
    command = [host_artifact / "bench", "--min-seconds", "20", "--cpus", f"{cpu}-{cpu}"]
    with subprocess.Popen([*command, "--threads", "2"], stdout=subprocess.DEVNULL) as program:
        try:
            end = time.monotonic() + 10
            threads = f"/proc/{program.pid}/task"
            while len(os.listdir(threads)) < 2 and time.monotonic() < end:
                time.sleep(0.01)
            allowed = [os.sched_getaffinity(int(thread)) for thread in os.listdir(threads)]
            assert allowed == [{cpu}, {cpu}]
        finally:
            program.kill()


@pytest.mark.parametrize("cpus", ["", "x", "1-", "3-2", "1024", "0,", "0;1"])
def test_the_bench_program_refuses_other_lists(host_artifact, cpus):
    refused = pytest.raises(DeviceError, match="--cpus: not a list of CPUs")
    with find_device("local").deploy(host_artifact) as deployment, refused:
        deployment.run(["--cpus", cpus])


@pytest.mark.parametrize("way", ["ssh", "adb"])
def test_rounds_before_a_device_went_away_are_kept(way, request, host_artifact):
    if way == "ssh":
        device, server = (request.getfixturevalue(name) for name in ("ssh", "ssh_server"))
        failure = f"{device.name}: the connection was lost"

        def unplug():
            _signal_sessions(server, signal.SIGKILL)
    else:
        device, gone = find_device("adb:PIXEL8"), request.getfixturevalue("android")
        failure = "adb:PIXEL8: adb: device 'PIXEL8' not found"

        def unplug():
            (gone / "PIXEL8.gone").touch()

    ended = []

    def end_round(_, measured_round):
        ended.append(measured_round)
        if len(ended) == 2:
            unplug()

    with device.deploy(host_artifact) as deployment:
        (measured,) = measure_rounds([deployment], RoundPlan(runs=60), on_round=end_round)
    assert measured.rounds == tuple(ended)
    assert len(ended) == 2
    assert measured.failure == failure


def test_a_device_that_falls_silent_between_rounds_ends_soon(
    ssh, ssh_server, host_artifact, monkeypatch
):
    monkeypatch.setattr("octavo.compiler.devices.round_program.GRACE_S", 1.0)
    stopped = []

    def stop(*_):
        if not stopped:
            stopped.extend(ssh_server.sessions())
            _signal_sessions(ssh_server, signal.SIGSTOP)

    start = time.monotonic()
    try:
        with ssh.deploy(host_artifact) as deployment:
            (measured,) = measure_rounds([deployment], RoundPlan(runs=60), on_round=stop)
            assert time.monotonic() - start < 40
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert "no answer within" in measured.failure or "connection" in measured.failure
    assert len(measured.rounds) == 1
