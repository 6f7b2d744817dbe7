"""Profiles that are kept, compared and shown, from the command to the page in Chromium."""

import csv
import json

import numpy as np
import pytest
from tests.chromium import assert_is_fine


@pytest.fixture
def artifacts(octavo, model, samples, tmp_path):
    """The model compiled in INT8 and in float."""
    common = ("compile", model, "--target", "host", "-q", "-o")
    assert octavo(*common, tmp_path / "int8", "--data", samples).code == 0
    assert octavo(*common, tmp_path / "float", "--float-only").code == 0
    return tmp_path / "int8", tmp_path / "float"


@pytest.fixture
def profiles(octavo, artifacts, tmp_path):
    """Their profiles, float first."""
    paths = tmp_path / "before.json", tmp_path / "after.json"
    for artifact, path in zip(reversed(artifacts), paths, strict=True):
        found = octavo("profile", artifact, "--runs", 12, "-q", "--save-profile", path)
        assert found.code == 0, found.err
        assert found.out == ""
    return paths


def test_float_and_int8_are_compared_layer_by_layer(octavo, profiles, tmp_path, browser):
    page = tmp_path / "comparison.html"
    found = octavo("compare", *profiles, "--report", page)
    assert found.code == 0, found.err
    assert "whole run: " in found.out
    assert "float32 → int8" in found.out
    assert_is_fine(browser.look(page, 1280), 2)
    assert octavo("compare", *profiles, "--report", page).error_line.endswith(
        "exists already; --force replaces it")

    document = octavo("compare", *profiles, "--json").json
    conv = next(layer for layer in document["layers"] if layer["name"] == "hidden")
    assert [step["arithmetic"] for step in conv["steps_before"]] == ["float32"]
    assert [step["arithmetic"] for step in conv["steps_after"]] == ["int8"]
    assert conv["won_us"] == pytest.approx(
        conv["before"]["latency_us"] - conv["after"]["latency_us"])
    assert {"new", "gone"} & {layer["verdict"] for layer in document["layers"]}


def test_a_profile_shows_what_has_changed(octavo, artifacts, profiles, tmp_path, browser):
    page = tmp_path / "report.html"
    found = octavo(
        "profile", artifacts[0], "--runs", 12, "--compare", profiles[0], "--report", page)
    assert found.code == 0, found.err
    lines = found.out.splitlines()
    assert sum(line.startswith("whole run: ") for line in lines) == 2
    assert any(line.startswith("layers: ") for line in lines)
    # Before and after twice, accuracy, latency, cumulative, roofline, memory.
    for width in (1280, 390):
        assert_is_fine(browser.look(page, width), 7)


def test_the_artifacts_own_page_opens(octavo, artifacts, browser):
    assert_is_fine(browser.look(artifacts[0] / "report.html", 1280), 2)


def test_the_same_artifact_twice_says_so(octavo, profiles):
    found = octavo("compare", profiles[1], profiles[1])
    assert "warning: the same artifact twice" in found.err
    assert "within noise" in found.out


def test_a_profile_is_saved_as_json_prints_it(octavo, artifacts, tmp_path):
    path, table = tmp_path / "profile.json", tmp_path / "profile.csv"
    printed = octavo(
        "profile", artifacts[0], "--runs", 12, "--json", "--save-profile", path, "--csv", table
    ).json
    assert json.loads(path.read_text()) == printed
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == [step["name"] for step in printed["steps"]]
    assert [float(row["p95_us"]) for row in rows] == [s["p95_us"] for s in printed["steps"]]


def test_all_steps_in_run_order(octavo, artifacts):
    lines = octavo(
        "profile", artifacts[0], "--runs", 3, "--sort", "order", "--no-roofline"
    ).out.splitlines()
    numbers = [line.split()[0] for line in lines[1:] if line[:2].strip().isdigit()]
    assert numbers == [str(i) for i in range(len(numbers))]
    assert len(numbers) > 1


@pytest.mark.parametrize("verb", ["compare", "profile"])
def test_what_is_no_profile_is_refused_before_anything_is_measured(
    octavo, artifacts, tmp_path, verb
):
    other = artifacts[0] / "manifest.json"
    command = {
        "compare": ("compare", other, other),
        "profile": ("profile", artifacts[0], "--compare", other, "--csv", tmp_path / "t.csv"),
    }[verb]
    found = octavo(*command)
    assert found.code == 2
    assert "manifest.json is no profile" in found.error_line
    assert not (tmp_path / "t.csv").exists()


def test_artifacts_are_measured_in_turns(octavo, artifacts, tmp_path, browser):
    after, before = artifacts
    page = tmp_path / "turns.html"
    found = octavo("compare", before, after, "--seconds", 1, "--report", page)
    assert found.code == 0, found.err
    assert "measured in turns, " in found.out
    assert "measured in turns" in page.read_text()
    assert_is_fine(browser.look(page, 1280), 2)

    inputs = tmp_path / "input.npz"
    np.savez(inputs, image=np.ones((1, 2, 4, 4), np.float32))
    options = ("--seconds", 0, "--input", inputs, "--num-threads", 2, "--json")
    document = octavo("compare", before, after, *options).json
    assert document["turns"] >= 1
    assert {document[side]["inputs"] for side in ("before", "after")} == {"given"}
    assert {document[side]["num_threads"] for side in ("before", "after")} == {2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "qemu"), "--device qemu has no times to compare"),
        (("--seconds", "1"), "--seconds is for artifacts"),
        (("--input",), "--input is for artifacts"),
        ((), "two artifacts or two profiles, not one with the other"),
    ],
)
def test_what_cannot_be_compared_is_refused(octavo, artifacts, samples, options, message):
    one = other = artifacts[0] / "manifest.json"
    if "qemu" in options:
        one = other = artifacts[0]
    elif options == ("--input",):
        options = ("--input", samples)
    elif not options:
        one = artifacts[0]
    found = octavo("compare", one, other, *options)
    assert found.code == 2
    assert message in found.error_line


def test_an_input_that_does_not_fit_is_refused(octavo, artifacts, tmp_path):
    inputs = tmp_path / "input.npz"
    np.savez(inputs, image=np.ones((1, 2, 4, 5), np.float32))
    found = octavo("compare", *artifacts, "--input", inputs)
    assert found.code == 2
    assert "image" in found.error_line
