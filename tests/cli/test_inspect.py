import onnx
import pytest
from onnx import parser


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
        (["image=1,x"], "--max x="),
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


def test_message_passing_is_a_line_for_each_region(octavo, model, tmp_path):
    graph_network = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[4,2] x, int64[2,6] edges) => (float[4,2] y)
    <int64 zero = {0}, int64 one = {1}, int64[2] column = {-1, 1}, int64[2] wide = {6, 2},
     float[4,2] base = {0, 0, 0, 0, 0, 0, 0, 0}>
    {
        s = Gather <axis = 0> (edges, zero)
        d = Gather <axis = 0> (edges, one)
        m = Gather <axis = 0> (x, s)
        c = Reshape (d, column)
        i = Expand (c, wide)
        y = ScatterElements <axis = 0, reduction = "add"> (base, i, m)
    }
    """
    path = tmp_path / "graph.onnx"
    onnx.save(parser.parse_model(graph_network), path)
    line = "y = add(x): 4 nodes, 6 edges edges[0] -> edges[1]"
    assert line in octavo("inspect", path, "--message-passing").out
    assert octavo("inspect", path, "--message-passing", "--json").json["message_passing"] == [
        line
    ]
    assert "message passing  none" in octavo("inspect", model, "--message-passing").out
