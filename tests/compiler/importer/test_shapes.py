"""Binding of input shapes."""

import onnx
import pytest

from octavo.compiler.importer import Limits, parse_max_option, parse_shape_option
from octavo.errors import ModelError

TWO_INPUTS = """<ir_version: 10, opset_import: ["" : 21]>
g (float[N,seq,8] ids, float[N,seq,1] mask) => (float[N,seq,8] y) { y = Mul(ids, mask) }"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input=1,3,224,224", ("input", (1, 3, 224, 224))),
        ("x=7", ("x", (7,))),
        ("scalar=", ("scalar", ())),
        ("a=b=2,3", ("a=b", (2, 3))),
        ("model/in:0=1, 2", ("model/in:0", (1, 2))),
    ],
)
def test_shape_option(text, expected):
    assert parse_shape_option(text) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "=1,2", "x=1,", "x=,1", "x=1x2", "x=-1,3", "x=1.5", "x=0,3", "x=[1]"]
)
def test_wrong_shape_options_are_refused(text):
    with pytest.raises(ModelError, match="shape"):
        parse_shape_option(text)


def test_symbols_bind_in_every_input(imported):
    model = imported(TWO_INPUTS, shapes={"ids": (2, 5, 8)})
    assert [value.shape for value in model.graph.inputs] == [(2, 5, 8), (2, 5, 1)]
    assert model.graph.outputs[0].shape == (2, 5, 8)


def test_an_open_dimension_names_input_axis_and_option(refused):
    refused(TWO_INPUTS, r"'ids' has no size in axis 0 \(N\).*--shape ids=1,1,8")


def test_unnamed_and_negative_dimensions_are_open(refused):
    proto = onnx.parser.parse_model(TWO_INPUTS)
    dim = proto.graph.input[1].type.tensor_type.shape.dim[2]
    dim.dim_value = -1
    refused(proto, r"'mask' has no size in axis 2 \(\?\)", shapes={"ids": (2, 5, 8)})
    dim.Clear()
    refused(proto, r"'mask' has no size in axis 2 \(\?\)", shapes={"ids": (2, 5, 8)})


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"idz": (1, 2, 8)}, "no input 'idz'.*inputs: ids, mask"),
        ({"ids": (1, 8)}, r"'ids' has rank 3 .*\[1, 8\] has rank 2"),
        ({"ids": (1, 2, 9)}, "'ids' has size 8 in axis 2; .* has 9"),
        ({"ids": (1, 2, 8), "mask": (1, 3, 1)}, "'mask' has size 2 in axis 1; .* has 3"),
        ({"ids": (1, 2**31, 8)}, "at most 2147483647 elements"),
        ({"ids": (-1, 2, 8)}, "not a list of sizes"),
    ],
)
def test_contradictions_are_refused(refused, shapes, message):
    refused(TWO_INPUTS, message, shapes=shapes)


def test_an_input_without_a_shape_takes_any(imported, refused):
    proto = onnx.parser.parse_model(TWO_INPUTS)
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    refused(proto, "'ids' has no shape.*--shape ids=")
    model = imported(proto, shapes={"ids": (4, 8), "mask": (1, 4, 1)})
    assert model.graph.outputs[0].shape == (1, 4, 8)


def test_rank_of_inputs_is_capped(refused):
    refused(TWO_INPUTS, "rank 3; at most 2", limits=Limits(rank=2))


def test_inputs_must_be_tensors_of_numbers(refused):
    proto = onnx.parser.parse_model(TWO_INPUTS)
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.STRING
    refused(proto, "'ids' has element type string", shapes={"ids": (2, 5, 8)})
    proto.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1
    refused(proto, "'ids' is not a tensor")


def test_an_initializer_that_is_also_an_input_is_a_constant(imported, refused):
    text = """<ir_version: 3, opset_import: ["" : 11]>
    g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1.0, 2.0}> { y = Add(x, w) }"""
    model = imported(text)
    assert [value.name for value in model.graph.inputs] == ["x"]
    assert list(model.graph.initializers) == ["w"]
    refused(text, "no input 'w'", shapes={"w": (2,)})


@pytest.mark.parametrize(
    ("text", "expected"), [("E=20000", ("E", 20000)), ("a=b=2", ("a=b", 2))]
)
def test_max_option(text, expected):
    assert parse_max_option(text) == expected


@pytest.mark.parametrize("text", ["", "E", "=3", "E=", "E=1", "E=-4", "E=1e3", "E=3,4"])
def test_wrong_max_options_are_refused(text):
    with pytest.raises(ModelError, match="maximum"):
        parse_max_option(text)


def test_a_shape_may_name_its_dimensions(imported):
    assert parse_shape_option("ids=2,E,8") == ("ids", (2, "E", 8))
    model = imported(TWO_INPUTS, shapes={"ids": ("E", 5, 8)}, maxima={"E": 30})
    assert [value.shape for value in model.graph.inputs] == [(30, 5, 8), (30, 5, 1), (1,)]


def test_maxima_and_names_belong_together(refused):
    refused(TWO_INPUTS, "no dimension is called 'M'; named ones: N, seq", maxima={"M": 4})
    refused(TWO_INPUTS, "'E' of input 'ids' has no largest size", shapes={"ids": (2, "E", 8)})
