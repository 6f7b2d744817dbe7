import onnx
import pytest


def test_totals_agree_with_the_formula(octavo, model):
    payload = octavo("inspect", model, "--json").json
    assert payload["macs"] == 1 * 3 * 4 * 4 * 2 * 3 * 3  # output elements x kernel elements
    assert payload["parameter_bytes"] == 4 * (3 * 2 * 3 * 3 + 3)
    assert [port["name"] for port in payload["inputs"]] == ["image"]


def test_words_list_operators_and_with_v_every_node(octavo, model):
    brief, full = octavo("inspect", model), octavo("inspect", model, "-v")
    assert (brief.code, full.code) == (0, 0)
    assert "1x2x4x4" in brief.out
    assert "864" in brief.out
    assert "active" not in brief.out
    assert "active" in full.out


def test_placement_names_the_kernels_and_the_reasons_for_float(octavo, model):
    text = octavo("inspect", model, "--placement").out
    assert "hidden: Conv + Relu" in text
    payload = octavo("inspect", model, "--placement", "--json").json
    assert payload["placement"]["regions"][0] == {
        "name": "hidden",
        "op_types": ["Conv", "Relu"],
    }
    assert payload["placement"]["float_nodes"] == []


def test_a_quantized_model_has_no_placement_to_plan(octavo, model, samples, tmp_path):
    output = tmp_path / "q.onnx"
    assert octavo("quantize", model, "--data", samples, "-o", output).code == 0
    outcome = octavo("inspect", output, "--placement")
    assert outcome.code == 2
    assert "quantized already" in outcome.error_line


def test_quiet_says_nothing(octavo, model):
    assert octavo("inspect", model, "-q").out == ""


@pytest.fixture
def open_model(model, tmp_path):
    proto = onnx.load(model)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    path = tmp_path / "open.onnx"
    onnx.save(proto, path)
    return path


def test_an_open_dimension_is_bound_by_shape(octavo, open_model):
    outcome = octavo("inspect", open_model)
    assert outcome.code == 2
    assert "image" in outcome.error_line
    assert "--shape" in outcome.error_line
    bound = octavo("inspect", open_model, "--shape", "image=2,2,4,4", "--json")
    assert bound.json["inputs"][0]["shape"] == [2, 2, 4, 4]


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (["image"], "image"),
        (["image=1,x"], "image=1,x"),
        (["picture=1,2,4,4"], "picture"),
        (["image=1,2,4,4", "image=2,2,4,4"], "twice"),
    ],
)
def test_a_wrong_shape_option_is_named(octavo, open_model, texts, word):
    options = [part for text in texts for part in ("--shape", text)]
    outcome = octavo("inspect", open_model, *options)
    assert outcome.code == 2
    assert word in outcome.error_line


def test_unfriendly_widths_of_a_target(octavo, model):
    text = octavo("inspect", model, "--target", "x86-64-avx512vnni").out
    assert "hidden: 2 input channels waste 25%; friendly: 4" in text
    assert "3 output channels waste 81%; friendly: 16" in text
    payload = octavo("inspect", model, "--target", "x86-64-avx512vnni", "--json").json
    (layer,) = payload["unfriendly_layers"]
    assert layer["macs"] == payload["macs"]
    assert layer["waste"] == 1 - (6 / 8) * (3 / 16)
    # Four lanes: 3 of 4 output channels.
    assert "waste 25%; friendly: 4" in octavo("inspect", model, "--target", "arm64-neon").out


def test_an_unknown_target_is_said_at_once(octavo, model):
    outcome = octavo("inspect", model, "--target", "cortex-z9")
    assert outcome.code == 2
    assert "unknown target 'cortex-z9'" in outcome.error_line
