import pytest


def test_layers_are_ranked_by_every_measure(octavo, model, samples, tmp_path):
    command = ["quantize", model, "--data", samples, "-o", tmp_path / "q.onnx"]
    outcome = octavo(*command, "--sensitivity", "all", "--json")
    assert outcome.code == 0, outcome.err
    found = outcome.json["sensitivity"]
    assert found["format"] == "w4a8"
    layers = [drop["layer"] for drop in found["drops"]]
    assert "hidden" in layers
    measures = [ranking["measure"] for ranking in found["rankings"]]
    assert {"propagated_error", "hessian_trace", "calibrated_loss"} <= set(measures)
    for ranking in found["rankings"]:
        assert sorted(ranking["order"]) == sorted(layers)
        assert set(ranking["scores"][layers[0]]) == {"loss", "ms", "bytes"}


def test_the_table_names_the_layers(octavo, model, samples, tmp_path):
    command = ["quantize", model, "--data", samples, "-o", tmp_path / "q.onnx"]
    shown = octavo(*command, "--sensitivity", "kurtosis", "--sensitivity-format", "w2a8").out
    assert "rank of each layer in w2a8" in shown
    assert "kurtosis" in shown


def test_nothing_is_ranked_unless_asked_for(octavo, model, samples, tmp_path):
    command = ["quantize", model, "--data", samples, "-o", tmp_path / "q.onnx", "--json"]
    assert octavo(*command).json["sensitivity"] is None


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--sensitivity", "guess"], "guess"),
        (["--sensitivity", "all", "--sensitivity-format", "w5a8"], "weight_bits 5"),
        (["--sensitivity", "kurtosis", "--recipe", "weight_only_wi8"], "weight_only_wi8"),
    ],
)
def test_what_cannot_be_ranked_is_refused(octavo, model, samples, tmp_path, options, word):
    output = tmp_path / "q.onnx"
    outcome = octavo("quantize", model, "--data", samples, "-o", output, *options)
    assert outcome.code == 2
    assert word in outcome.error_line
    assert not output.exists()
