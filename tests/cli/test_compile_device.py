"""``compile --device``: what a user sees of operator selection."""

import json
import shutil

import numpy as np
import pytest

SECONDS = "0.2"


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    return tmp_path_factory.mktemp("selected") / "out"


@pytest.fixture
def outcome(octavo, selected, model, samples):
    """Compiled once, with every program that a selection has."""
    command = ["compile", model, "--target", "host", "--data", samples, "--device", "local",
               "--measure-seconds", SECONDS, "-o", selected, "--force"]
    outcome = octavo(*command)
    assert outcome.code == 0, outcome.err
    return outcome


@pytest.mark.slow
def test_the_artifact_is_what_measured_fastest_and_gives_the_usual_results(
    octavo, outcome, selected, model, samples, tmp_path
):
    assert "selection" in outcome.out
    manifest = json.loads((selected / "manifest.json").read_text())
    selection = manifest["metadata"]["selection"]
    costs = {p["name"]: p["cost"] for p in selection["programs"]}
    assert selection["unit"] == "us"
    assert costs[selection["chosen"]] <= costs["float build"]
    assert {"int8", "float32", "float build"} <= costs.keys()
    assert [layer["op_types"] for layer in selection["layers"]] == [
        ["Conv", "Relu"], ["GlobalAveragePool"]]
    plain = tmp_path / "plain"
    command = ["compile", model, "--target", "host", "--data", samples, "-o", plain]
    assert octavo(*command).code == 0
    # Within the range of the samples: float does not saturate where 8 bits do.
    image = 0.2 * np.random.default_rng(3).normal(size=(1, 2, 4, 4)).astype(np.float32)
    np.savez(tmp_path / "x.npz", image=image)
    scores = []
    for folder in (selected, plain):
        result = tmp_path / f"{folder.name}.npz"
        assert octavo(
            "run", folder, "--input", tmp_path / "x.npz", "--output", result).code == 0
        scores.append(np.load(result)["scores"])
    # The same bits, or a few steps of 8 bits where float was faster: scores reach about 10.
    np.testing.assert_allclose(*scores, atol=3 * 10 / 255)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--num-threads", "2"], "--num-threads goes with --device"),
        (["--cores", "big"], "--cores goes with --device"),
        (["--measure-seconds", "1"], "--measure-seconds goes with --device"),
        (["--device", "qemu", "--cores", "big"], "does not have"),
        (["--device", "telnet://x"], "telnet"),
        (["--device", "local", "--float-only"], "nothing to choose"),
        (["--device", "local", "--cores", "x"], "x"),
    ],
)
def test_contradictions_are_one_line(octavo, model, samples, tmp_path, arguments, complaint):
    data = [] if "--float-only" in arguments else ["--data", samples]
    outcome = octavo(
        "compile", model, "--target", "host", *data, "-o", tmp_path / "out", *arguments)
    assert outcome.code == 2
    assert complaint in outcome.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_device_that_does_not_answer_leaves_nothing(
    octavo, model, samples, tmp_path, monkeypatch
):
    monkeypatch.setenv("ADB", str(tmp_path / "no-adb"))
    outcome = octavo("compile", model, "--target", "arm64-neon", "--data", samples,
                     "--device", "adb:PHONE", "-o", tmp_path / "out")
    assert outcome.code == 4
    assert "adb" in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-aarch64 is missing")
def test_an_emulator_counts_instructions_and_says_so(octavo, model, samples, tmp_path):
    output = tmp_path / "out"
    outcome = octavo("compile", model, "--target", "arm64-dotprod", "--data", samples,
                     "--device", "qemu", "-o", output)
    assert outcome.code == 0, outcome.err
    assert "instructions" in outcome.out
    assert "which is no time" in outcome.out
    selection = json.loads((output / "manifest.json").read_text())["metadata"]["selection"]
    assert selection["unit"] == "instructions"
    costs = {p["name"]: p["cost"] for p in selection["programs"]}
    assert all(cost == round(cost) > 0 for cost in costs.values())
    assert costs[selection["chosen"]] == min(costs.values())


@pytest.mark.slow
def test_the_output_error_is_that_of_what_was_chosen(octavo, model, samples, tmp_path):
    """All in float, which a network of two channels is fastest in, loses nothing."""
    output = tmp_path / "out"
    command = ["compile", model, "--target", "host", "--data", samples, "-o", output]
    assert octavo(*command, "--device", "local", "--measure-seconds", SECONDS).code == 0
    metadata = json.loads((output / "manifest.json").read_text())["metadata"]
    selection, errors = metadata["selection"], metadata["output_sqnr_db"]
    chosen = [layer["chosen"] for layer in selection["layers"] if layer["chosen"]]
    in_float = not chosen or all(option["placement"] == "float32" for option in chosen)
    assert in_float == all(db is None or db > 60 for db in errors.values())
