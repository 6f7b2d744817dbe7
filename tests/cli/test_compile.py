"""compile, run and profile on a real artifact of a small model."""

import json
from pathlib import Path

import numpy as np
import pytest

from octavo.compiler.cli.compile import check_gates
from octavo.compiler.report.summary import Placement, Summary
from octavo.errors import GateError


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """A folder to compile into once; tests only read it."""
    return tmp_path_factory.mktemp("compiled") / "tiny"


@pytest.fixture
def compiled(octavo, artifact, model, samples):
    if not artifact.exists():
        outcome = octavo(
            "compile", model, "--target", "host", "--data", samples, "-o", artifact
        )
        assert outcome.code == 0, outcome.err
    return artifact


@pytest.fixture
def one_input(tmp_path):
    path = tmp_path / "one.npz"
    np.savez(path, image=np.random.default_rng(2).normal(size=(1, 2, 4, 4)).astype(np.float32))
    return path


@pytest.mark.slow
def test_summary_fits_one_screen_and_names_the_artifact(octavo, model, samples, tmp_path):
    output = tmp_path / "out"
    outcome = octavo("compile", model, "--target", "host", "--data", samples, "-o", output)
    assert outcome.code == 0, outcome.err
    assert len(outcome.out.splitlines()) <= 24
    for word in ("int8", "weights", "arena", "output error", "worst layers", str(output)):
        assert word in outcome.out
    assert (output / "report.html").is_file()
    assert (output / "libmodel.so").is_file()


@pytest.mark.slow
def test_json_is_all_there_is_on_stdout(octavo, model, samples, tmp_path):
    output = tmp_path / "out"
    command = ["compile", model, "--target", "host", "--data", samples, "-o", output, "--json"]
    payload = octavo(*command).json
    assert payload["artifact"] == str(output)
    shares = {p["placement"]: p["macs_share"] for p in payload["summary"]["placements"]}
    assert shares["int8"] == 1.0
    assert payload["summary"]["worst_layers"][0]["layer"]


@pytest.mark.slow
def test_a_missed_gate_ends_with_3_and_keeps_the_artifact(octavo, model, samples, tmp_path):
    output = tmp_path / "out"
    command = ["compile", model, "--target", "host", "--data", samples, "-o", output]
    outcome = octavo(*command, "--min-sqnr", "149")
    assert outcome.code == 3
    assert "--min-sqnr asks for 149 dB" in outcome.err
    assert (output / "manifest.json").is_file()


def test_a_rounding_that_the_target_cannot_keep_is_refused(octavo, model, samples, tmp_path):
    output = tmp_path / "out"
    command = ["compile", model, "--target", "hexagon-v66", "--data", samples, "-o", output]
    outcome = octavo(*command, "--requantize", "float32")
    assert outcome.code == 2
    assert outcome.error_line == (
        "octavo: target 'hexagon-v66' cannot requantize in float32; possible: dyadic"
    )
    assert not output.exists()


@pytest.mark.slow
def test_run_shows_and_writes_the_outputs(octavo, compiled, one_input, tmp_path):
    output = tmp_path / "y.npz"
    outcome = octavo("run", compiled, "--input", one_input, "-o", output, "--json")
    assert outcome.code == 0, outcome.err
    (shown,) = outcome.json["outputs"]
    with np.load(output) as written:
        assert (shown["name"], shown["shape"]) == ("scores", [1, 3])
        np.testing.assert_array_equal(np.float32(shown["values"]), written["scores"])
    assert "scores float32 1x3:" in octavo("run", compiled, "--input", one_input).out
    again = octavo("run", compiled, "--input", one_input, "-o", output)
    assert again.code == 2
    assert "--force" in again.error_line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arrays", "word"),
    [
        ({"picture": np.zeros((1, 2, 4, 4), np.float32)}, "picture"),
        ({"image": np.zeros((2, 2, 4, 4), np.float32)}, "(2, 2, 4, 4)"),
        ({"image": np.zeros((1, 2, 4, 4))}, "float64"),
        ({}, "image"),
    ],
)
def test_run_refuses_inputs_that_do_not_fit(octavo, compiled, tmp_path, arrays, word):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    outcome = octavo("run", compiled, "--input", path)
    assert outcome.code == 2
    assert word in outcome.error_line


@pytest.mark.slow
def test_run_reads_npy_for_one_input_and_no_pickles(octavo, compiled, tmp_path):
    good, bad = tmp_path / "good.npy", tmp_path / "bad.npy"
    np.save(good, np.zeros((1, 2, 4, 4), np.float32))
    np.save(bad, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert octavo("run", compiled, "--input", good).code == 0
    outcome = octavo("run", compiled, "--input", bad)
    assert outcome.code == 2
    assert "bad.npy" in outcome.error_line


@pytest.mark.slow
def test_profile_measures_every_step_and_writes_both_pages(octavo, compiled, tmp_path):
    page, trace = tmp_path / "r.html", tmp_path / "t.json"
    outcome = octavo(
        "profile", compiled, "--runs", 7, "--report", page, "--trace", trace, "--json"
    )
    assert outcome.code == 0, outcome.err
    assert "every input is zero" in outcome.err
    payload = outcome.json
    manifest = json.loads((compiled / "manifest.json").read_text(encoding="utf-8"))
    assert [s["name"] for s in payload["steps"]] == [s["name"] for s in manifest["steps"]]
    assert sum(s["share"] for s in payload["steps"]) == pytest.approx(1.0)
    assert payload["run"]["median_us"] > 0
    assert "median of 7 runs" in page.read_text(encoding="utf-8")
    assert json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    assert "whole run" in octavo("profile", compiled, "--runs", 2).out


@pytest.mark.slow
def test_the_artifacts_own_report_can_be_refreshed(octavo, compiled, one_input):
    report = compiled / "report.html"
    command = ["profile", compiled, "--runs", 3, "--report", report]
    assert octavo(*command).code == 2  # it exists
    assert octavo(*command, "--force").code == 0
    assert "median of 3 runs" in report.read_text(encoding="utf-8")
    # its checksum was refreshed with it, or this would be refused
    assert octavo("run", compiled, "--input", one_input).code == 0


@pytest.mark.slow
def test_a_changed_artifact_is_refused(octavo, model, samples, one_input, tmp_path):
    output = tmp_path / "out"
    command = ["compile", model, "--target", "host", "--data", samples, "-o", output]
    assert octavo(*command).code == 0
    with (output / "weights.bin").open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
    outcome = octavo("run", output, "--input", one_input)
    assert outcome.code == 2
    assert "weights.bin" in outcome.error_line


def test_float_only_contradicts_data_and_integer_only(octavo, model, samples, tmp_path):
    command = ["compile", model, "--target", "host", "-o", tmp_path / "out", "--float-only"]
    for extra in (["--integer-only"], ["--data", samples]):
        outcome = octavo(*command, *extra)
        assert outcome.code == 2
        assert "--float-only" in outcome.error_line


def make_summary(*, int8_share=0.75, output_sqnr_db=30.0):
    return Summary(
        name="tiny",
        target="host",
        placements=(Placement("int8", 3, 75, 0.5, int8_share),),
        float_steps=(),
        weights_bytes=1,
        arena_bytes=1,
        arena_lower_bound_bytes=1,
        output_sqnr_db=output_sqnr_db,
        worst_layers=(),
        latency_us=None,
    )


def test_gates_pass_at_their_limit():
    check_gates(make_summary(), min_coverage=75.0, min_sqnr_db=30.0)
    check_gates(make_summary(output_sqnr_db=None), min_coverage=None, min_sqnr_db=None)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"min_coverage": 75.1, "min_sqnr_db": None}, "75.0% .* asks for 75.1%"),
        ({"min_coverage": None, "min_sqnr_db": 30.1}, "30.0 dB; --min-sqnr asks for 30.1 dB"),
    ],
)
def test_gates_fail_with_the_numbers(limits, message):
    with pytest.raises(GateError, match=message):
        check_gates(make_summary(), **limits)


def test_an_error_limit_without_errors_is_not_silently_met():
    with pytest.raises(GateError, match="nothing was quantized"):
        check_gates(make_summary(output_sqnr_db=None), min_coverage=None, min_sqnr_db=1.0)


def test_unfriendly_widths_are_named(octavo, model, samples, tmp_path):
    compile_with = ["compile", model, "--target", "x86-64-avx512vnni", "--data", samples]
    text = octavo(*compile_with, "-o", tmp_path / "out").out
    assert "channel widths  waste" in text
    assert "3 output channels waste 81%; friendly: 16" in text
    payload = octavo(*compile_with, "-o", tmp_path / "other", "--json").json
    assert [layer["name"] for layer in payload["unfriendly_layers"]] == ["hidden"]


def test_samples_are_made_up_on_request(octavo, tmp_path):
    digits = Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx"
    command = [
        "compile",
        digits,
        "--target",
        "host",
        "--data",
        "synthetic",
        "--max-samples",
        4,
    ]
    payload = octavo(*command, "-o", tmp_path / "int8", "--json").json
    assert payload["notes"][0].startswith("the 4 samples are synthetic, made from 5 Batch")
    assert payload["summary"]["output_sqnr_db"] > 20
