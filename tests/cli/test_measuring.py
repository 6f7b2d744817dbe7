"""profile: how it measures, what it keeps, and what it says when a device goes away."""

import pytest
from tests.compiler.devices.android import connect
from tests.compiler.devices.phone import write_phone

from octavo.compiler.measurements.profiles import ProfileStore
from octavo.errors import StoreError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch, shared_cache):
    """No measurements of other tests; compiled parts are shared."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for part in ("zig", "runtime"):
        (cache / part).symlink_to(shared_cache / part)
    monkeypatch.setenv("OCTAVO_CACHE", str(cache))


@pytest.fixture
def android(tmp_path, monkeypatch):
    folder = connect(tmp_path / "android", monkeypatch)
    write_phone(folder / "PIXEL8")
    return folder


@pytest.fixture
def artifact(octavo, model, samples, tmp_path):
    done = octavo("compile", model, "--target", "host", "--data", samples,
                  "-o", tmp_path / "out")
    assert done.code == 0, done.err
    return tmp_path / "out"


def test_rounds_and_conditions_are_in_the_document(octavo, artifact, android):
    done = octavo("profile", artifact, "--device", "adb:PIXEL8", "--seconds", "0.5",
                  "--cores", "0", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert found["runs"] == sum(entry["runs"] for entry in found["rounds"])
    assert found["conditions"]["cpus"] == [0]
    assert found["conditions"]["before"]["cpus"][4]["governor"] == "schedutil"
    assert found["is_steady"] == (found["noise"] == [])
    governor = "the clock of CPUs 0 is set by the governor schedutil"
    assert governor in done.err
    assert any(note.startswith(governor) for note in found["notes"])
    for reason in found["noise"]:
        warning = f"too noisy to be repeated within 5%: {reason}"
        assert f"warning: {warning}" in done.err
        assert warning in found["notes"]


def test_a_device_without_performance_cores_says_so(octavo, artifact, android):
    done = octavo("profile", artifact, "--device", "adb:PIXEL8", "--cores", "big",
                  "--num-threads", "3")
    assert done.code == 2
    assert done.error_line == (
        "octavo: --cores big: 3 threads do not fit on 2 CPUs (4-5)")
    done = octavo("profile", artifact, "--cores", "huge")
    assert done.code == 2
    assert "'huge' is no list of CPUs; allowed: all, big, little, or a list" in done.error_line


def test_a_device_that_goes_away_ends_with_4_and_the_same_command_goes_on(
    octavo, artifact, android, monkeypatch
):
    gone = android / "PIXEL8.gone"
    add_round = ProfileStore.add_round

    def unplug(self, profile, number, *rest):
        add_round(self, profile, number, *rest)
        if number == 3 and not gone.exists():
            gone.touch()

    command = ("profile", artifact, "--device", "adb:PIXEL8", "--runs", "30")
    with monkeypatch.context() as patched:
        patched.setattr(ProfileStore, "add_round", unplug)
        done = octavo(*command)
    assert done.code == 4
    assert done.error_line == (
        "octavo: adb:PIXEL8: adb: device 'PIXEL8' not found; 4 rounds kept, and the same"
        " command goes on from there")
    kept = octavo("db", "stats", "--json").json["groups"]
    gone.unlink()
    done = octavo(*command, "--json")
    assert done.code == 0, done.err
    assert "going on with the profile that was interrupted after 4 rounds" in done.err
    assert done.json["runs"] == 30
    # The rows that were kept have become better known; there are no more of them.
    after = octavo("db", "stats", "--json").json["groups"]
    assert [row["num_measurements"] for row in after] == [
        row["num_measurements"] for row in kept]
    assert after[0]["num_measurements"] > 0
    done = octavo(*command)
    assert "going on" not in done.err


@pytest.mark.parametrize("option", ["--fresh", "--no-save"])
def test_an_interrupted_profile_can_be_left_alone(
    octavo, artifact, monkeypatch, option
):
    def interrupt(self, *_):
        add_round(self, *_)
        raise KeyboardInterrupt

    add_round = ProfileStore.add_round
    with monkeypatch.context() as patched:
        patched.setattr(ProfileStore, "add_round", interrupt)
        assert octavo("profile", artifact, "--runs", "30").code == 130
    done = octavo("profile", artifact, "--runs", "30", "--no-roofline", option)
    assert done.code == 0
    assert "going on" not in done.err
    done = octavo("profile", artifact, "--runs", "30", "--no-roofline")
    assert ("going on" in done.err) == (option == "--no-save")


def test_rounds_that_could_not_be_kept_are_not_said_to_be(
    octavo, artifact, android, monkeypatch
):
    def fail(self, *_):
        (android / "PIXEL8.gone").touch()
        raise StoreError("the disk is full")

    monkeypatch.setattr(ProfileStore, "add_round", fail)
    done = octavo("profile", artifact, "--device", "adb:PIXEL8", "--runs", "30")
    assert done.code == 4
    assert done.err == (
        "warning: not kept: the disk is full\n"
        "octavo: adb:PIXEL8: adb: device 'PIXEL8' not found\n")


def test_without_a_database_there_is_a_profile_and_a_warning(
    octavo, artifact, monkeypatch, tmp_path
):
    (tmp_path / "cache" / "measurements.sqlite").mkdir()
    done = octavo("profile", artifact, "--runs", "6", "--no-roofline")
    assert done.code == 0
    assert "warning: not kept: the store of measurements" in done.err
    assert "6 runs" in done.out
