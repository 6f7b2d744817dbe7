"""explain: what it says of an artifact, measured and from the database."""

from functools import partial

import pytest


@pytest.fixture
def artifact(octavo, tmp_path, model, samples):
    folder = tmp_path / "out"
    outcome = octavo(
        "compile", model, "--target", "host", "--data", samples, "-o", folder, "-q")
    assert outcome.code == 0, outcome.err
    return folder


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch, tmp_path):
    """One round of each program: the times do not matter here. A database for each test."""
    import octavo.compiler.explain.explain as module

    monkeypatch.setattr(
        "octavo.compiler.measurements.profiles.database_path",
        lambda: tmp_path / "measurements.sqlite")
    monkeypatch.setattr(module, "ExplainOptions", partial(module.ExplainOptions, seconds=0.1))


def test_measures_once_and_then_knows(octavo, artifact):
    first = octavo("explain", artifact, "--json")
    assert first.code == 0, first.err
    assert first.json["is_new"]
    again = octavo("explain", artifact, "--json").json
    assert not again["is_new"]
    assert octavo("explain", artifact, "--json", "--measure").json["is_new"]
    names = {layer["name"] for layer in again["layers"]}
    assert names == {layer["name"] for layer in first.json["layers"]}
    assert any(n.startswith("hidden") for layer in again["layers"] for n in layer["nodes"])


def test_every_layer_is_compared_with_float(octavo, artifact):
    document = octavo("explain", artifact, "--json").json
    assert document["float_us"] > 0
    for layer in document["layers"]:
        found = layer["float_answer"]
        assert found["verdict"] in ("yes", "no", "same")
        assert found["float_us"] == pytest.approx(
            found["layer_us"] + found["conversions_us"])
        assert layer["latency_us"] > 0
        assert layer["roof_us"] > 0
        assert layer["causes"]
    assert sum(layer["share"] for layer in document["layers"]) <= 1 + 1e-9
    conv = next(layer for layer in document["layers"] if "hidden" in layer["nodes"])
    # 3 of 16 output channels, on any machine with vectors.
    widths = {w["axis"]: w for w in conv["widths"]}
    assert widths["output channels"]["width"] == 3
    assert widths["output channels"]["larger"] % 4 == 0


def test_says_it_in_words(octavo, artifact):
    outcome = octavo("explain", artifact)
    assert outcome.code == 0, outcome.err
    assert "faster in float?" in outcome.out
    assert "all layers" in outcome.out
    page = octavo("explain", artifact, "hidden").out
    assert page.startswith("hidden")
    assert "in float?" in page
    assert "3 output channels waste" in page
    assert "why" in page


def test_keeps_nothing_when_told_so(octavo, artifact):
    assert octavo("explain", artifact, "--json", "--no-save").json["is_new"]
    assert octavo("explain", artifact, "--json").json["is_new"]


def test_an_unknown_layer_is_named(octavo, artifact):
    outcome = octavo("explain", artifact, "hiddn")
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith(
        "octavo: no layer 'hiddn'; layers of tiny: hidden")


def test_an_emulator_has_no_times(octavo, artifact):
    outcome = octavo("explain", artifact, "--device", "qemu")
    assert outcome.code == 2
    assert "an emulator has no times" in outcome.error_line


def test_a_float_artifact_has_nothing_to_compare(octavo, tmp_path, model):
    folder = tmp_path / "float"
    compiled = octavo("compile", model, "--target", "host", "--float-only", "-o", folder, "-q")
    assert compiled.code == 0, compiled.err
    document = octavo("explain", folder, "--json").json
    assert document["float_us"] == 0
    assert all(layer["float_answer"] is None for layer in document["layers"])


def test_no_artifact(octavo, tmp_path):
    outcome = octavo("explain", tmp_path)
    assert outcome.code == 2
    assert "is not an artifact" in outcome.error_line
