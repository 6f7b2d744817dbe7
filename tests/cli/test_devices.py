"""devices, and run and profile on a device that is not this machine."""

import numpy as np
import pytest
from tests.compiler.devices.android import connect


@pytest.fixture
def android(tmp_path, monkeypatch):
    return connect(tmp_path / "android", monkeypatch)


@pytest.fixture
def artifact(octavo, model, samples, tmp_path):
    done = octavo("compile", model, "--target", "host", "--data", samples,
                  "-o", tmp_path / "out")
    assert done.code == 0, done.err
    return tmp_path / "out"


def test_what_is_there_is_listed(octavo, android):
    listed = octavo("devices", "--json").json["devices"]
    by_name = {row["device"]: row for row in listed}
    assert by_name["local"]["state"] == "ready"
    assert by_name["adb:PIXEL8"] == {
        "device": "adb:PIXEL8", "state": "ready", "detail": "Pixel_8"}
    assert by_name["adb:LOCKED1"]["state"] == "unauthorized"
    emulated = " ".join(row["detail"] for row in listed if row["device"] == "qemu")
    assert all(level in emulated for level in ("arm64-i8mm", "armv7-neon", "hexagon-v73"))
    assert by_name["opencl"]["state"] in ("ready", "none")
    assert "ssh://[USER@]HOST[:PORT]" in octavo("devices").out


def test_without_adb_that_is_said(octavo, monkeypatch):
    monkeypatch.setenv("ADB", "/nowhere/adb")
    (row,) = (r for r in octavo("devices", "--json").json["devices"] if r["device"] == "adb")
    assert row["state"] == "not installed"


def test_run_and_profile_on_a_device(octavo, artifact, samples, android, tmp_path):
    np.savez(tmp_path / "x.npz", image=np.load(samples)["image"][:1])
    scores = {}
    for device in ("local", "adb:PIXEL8"):
        output = tmp_path / f"{device[:3]}.npz"
        done = octavo("run", artifact, "--input", tmp_path / "x.npz", "--device", device,
                      "-o", output)
        assert done.code == 0, done.err
        scores[device] = np.load(output)["scores"]
    np.testing.assert_array_equal(scores["adb:PIXEL8"], scores["local"])
    done = octavo("profile", artifact, "--input", tmp_path / "x.npz", "--device", "adb:PIXEL8",
                  "--runs", "5", "--json", "--report", tmp_path / "report.html",
                  "--trace", tmp_path / "trace.json")
    assert done.code == 0, done.err
    assert done.json["device"] == "adb:PIXEL8"
    assert done.json["peaks"] == []
    assert all(step["median_us"] >= 0 for step in done.json["steps"])
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "trace.json").exists()


def test_a_device_that_is_gone_ends_with_4(octavo, artifact, android, tmp_path):
    (android / "PIXEL8.gone").touch()
    done = octavo("profile", artifact, "--device", "adb:PIXEL8")
    assert done.code == 4
    assert done.error_line == "octavo: adb:PIXEL8: adb: device 'PIXEL8' not found"


def test_a_device_of_no_known_form_ends_with_2(octavo, artifact):
    done = octavo("profile", artifact, "--device", "board")
    assert done.code == 2
    assert "no device 'board'; devices: local, qemu, opencl, ssh://" in done.error_line
