from pathlib import Path

import numpy as np
import onnx
import pytest

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx"


def test_writes_a_qdq_model_and_says_what_it_cost(octavo, model, samples, tmp_path):
    output = tmp_path / "q.onnx"
    outcome = octavo("quantize", model, "--data", samples, "-o", output)
    assert outcome.code == 0, outcome.err
    operators = {node.op_type for node in onnx.load(output).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= operators
    assert "hidden" in outcome.out
    assert " dB" in outcome.out


def test_json_has_an_error_for_each_layer(octavo, model, samples, tmp_path):
    output = tmp_path / "q.onnx"
    payload = octavo("quantize", model, "--data", samples, "-o", output, "--json").json
    assert payload["output"] == str(output)
    assert payload["num_samples"] == 8
    assert {"layer", "op_type", "sqnr_isolated_db", "sqnr_cumulative_db"} == set(
        payload["errors"][0]
    )
    assert payload["output_sqnr_db"]["scores"] > 20


def test_a_second_run_needs_force_and_gives_the_same_bytes(octavo, model, samples, tmp_path):
    output = tmp_path / "q.onnx"
    command = ["quantize", model, "--data", samples, "-o", output]
    assert octavo(*command).code == 0
    first = output.read_bytes()
    refused = octavo(*command)
    assert (refused.code, output.read_bytes()) == (2, first)
    assert "--force" in refused.error_line
    assert octavo(*command, "--force").code == 0
    assert output.read_bytes() == first


def test_max_samples_limits_the_calibration(octavo, model, samples, tmp_path):
    command = ["quantize", model, "--data", samples, "-o", tmp_path / "q.onnx", "--json"]
    assert octavo(*command, "--max-samples", 3).json["num_samples"] == 3


def test_a_layer_is_kept_in_float_on_request(octavo, model, samples, tmp_path):
    output = tmp_path / "q.onnx"
    command = ["quantize", model, "--data", samples, "-o", output, "--json"]
    assert "hidden" in octavo(*command, "--keep-float", "Conv").json["float_nodes"]


def test_an_overrides_file_reaches_the_quantizer(octavo, model, samples, tmp_path):
    overrides = tmp_path / "o.toml"
    overrides.write_text('[[layer]]\nmatch = "Conv"\nkeep_float = true\n', encoding="utf-8")
    command = ["quantize", model, "--data", samples, "-o", tmp_path / "q.onnx", "--json"]
    assert "hidden" in octavo(*command, "--overrides", overrides).json["float_nodes"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--recipe", "static_wi4"], "static_wi4"),
        (["--calibrator", "guess"], "guess"),
        (["--keep-float", "no-such-layer"], "no-such-layer"),
        (["--max-samples", "0"], "max-samples"),
        (["--activation-dtype", "int4"], "int4"),
        (["--seed", "-1"], "seed"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(
    octavo, model, samples, tmp_path, options, word
):
    before = set(tmp_path.iterdir())
    output = tmp_path / "q.onnx"
    outcome = octavo("quantize", model, "--data", samples, "-o", output, *options)
    assert outcome.code == 2
    assert word in outcome.error_line
    assert set(tmp_path.iterdir()) == before


def test_data_is_required(octavo, model, tmp_path):
    outcome = octavo("quantize", model, "-o", tmp_path / "q.onnx")
    assert outcome.code == 2
    assert "--data" in outcome.error_line


@pytest.mark.parametrize("name", ["missing/q.onnx", "."])
def test_an_output_that_cannot_be_a_file_is_refused_before_the_work(
    octavo, model, tmp_path, name
):
    # the samples do not even exist as such: the output is looked at first
    samples = tmp_path / "s.npz"
    np.savez(samples, other=np.zeros(1))
    outcome = octavo("quantize", model, "--data", samples, "-o", tmp_path / name)
    assert outcome.code == 2
    assert "folder" in outcome.error_line


def test_weights_are_rounded_by_what_layers_compute(octavo, model, samples, tmp_path):
    def quantize(*options):
        command = ["quantize", model, "--data", samples, "-o", tmp_path / "q.onnx", "--force"]
        return octavo(*command, "--weight-bits", 3, *options)

    plain = quantize("--json").json
    rounded = quantize("--json", "--rounding", "second_order").json
    assert plain["rounding"]["layers"] == []
    assert rounded["rounding"]["layers"]
    for layer in rounded["rounding"]["layers"]:
        assert layer["error_after"] <= layer["error_before"]
    assert (
        "second_order, parallel"
        in quantize("--rounding", "second_order", "--rounding-mode", "parallel").out
    )
    refused = quantize("--rounding", "up")
    assert refused.code == 2
    assert "allowed: nearest, retuned" in refused.error_line


def test_samples_are_made_up_on_request(octavo, tmp_path):
    command = ["quantize", DIGITS, "--data", "synthetic", "--max-samples", "4"]
    outcome = octavo(*command, "-o", tmp_path / "q.onnx")
    assert outcome.code == 0, outcome.err
    assert "the 4 samples are synthetic" in " ".join(outcome.out.split())
    payload = octavo(*command, "-o", tmp_path / "again.onnx", "--json").json
    assert payload["num_samples"] == 4
    assert {"node", "before", "after"} == set(payload["synthetic"][0])


def test_a_model_without_stored_moments_needs_samples(octavo, model, tmp_path):
    refused = octavo("quantize", model, "--data", "synthetic", "-o", tmp_path / "q.onnx")
    assert refused.code == 2
    assert "BatchNormalization" in refused.error_line
    assert not (tmp_path / "q.onnx").exists()
