"""What ONNX files say of inputs and outputs, and what is made of that."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import parser

from octavo.compiler.bench.agreement import Grid
from octavo.compiler.bench.float_weights import write_float_weights
from octavo.compiler.bench.inputs import synthetic_inputs
from octavo.compiler.bench.onnx_files import (
    dequantized_outputs,
    quantized_inputs,
    quantized_precision,
    quantizes_activations,
    stored_bytes,
)
from octavo.compiler.bench.onnxruntime_program import OnnxRuntimeProgram
from octavo.compiler.bench.unsigned_activations import write_unsigned

MODEL = """
<ir_version: 10, opset_import: ["" : 21]>
net (float[1,2,2,1] x) => (float[1,1,2,2] y, int8[1,1,2,2] z)
<float step = {0.5}, int8 zero = {-3}, int8[1,1,1,1] w = {7}, float fine = {0.25},
 int8 none = {0}>
{
    moved = Transpose <perm = [0,3,1,2]> (x)
    q = QuantizeLinear (moved, step, zero)
    d = DequantizeLinear (q, step, zero)
    v = DequantizeLinear (w, fine, none)
    c = Conv (d, v)
    z = QuantizeLinear (c, step, zero)
    y = DequantizeLinear (z, step, zero)
}
"""


@pytest.fixture
def path(tmp_path):
    model = onnx.shape_inference.infer_shapes(parser.parse_model(MODEL))
    onnx.save(model, tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def test_what_quantization_says(path):
    assert quantizes_activations(path)
    assert quantized_inputs(path) == {"x": (-62.5, 65.0)}
    assert dequantized_outputs(path) == {"y": Grid(0.5)}
    assert stored_bytes(path) == path.stat().st_size


def test_inputs_are_made_for_the_range_and_from_the_seed():
    ports = [
        {"name": "x", "dtype": "float32", "shape": [1000]},
        {"name": "f", "dtype": "float32", "shape": [1000]},
        {"name": "q", "dtype": "int8", "shape": [4000]},
        {"name": "ids", "dtype": "int64", "shape": [2]},
    ]
    made = synthetic_inputs({"inputs": ports}, {"x": (2.0, 3.0)}, 1)
    assert {name: str(array.dtype) for name, array in made.items()} == {
        port["name"]: port["dtype"] for port in ports
    }
    assert 2 <= made["x"].min() < 2.1 < 2.9 < made["x"].max() <= 3
    assert abs(made["f"].std() - 1) < 0.1
    assert (made["q"].min(), made["q"].max()) == (-128, 127)
    assert made["ids"].tolist() == [1, 1]
    again = synthetic_inputs({"inputs": ports}, {"x": (2.0, 3.0)}, 1)
    other = synthetic_inputs({"inputs": ports}, {"x": (2.0, 3.0)}, 2)
    assert np.array_equal(made["f"], again["f"])
    assert not np.array_equal(made["f"], other["f"])


def test_unsigned_activations_compute_the_same(path, tmp_path):
    target = tmp_path / "unsigned.onnx"
    assert write_unsigned(path, target)
    graph = onnx.load(target).graph
    types = {t.name: t.data_type for t in graph.initializer}
    zeros = [(n.op_type[0], types[n.input[2]]) for n in graph.node if "eLin" in n.op_type]
    # The output z is the user's and the weight is no activation: both stay int8. What becomes
    # z, and what is read of it, goes through uint8.
    signed, unsigned = onnx.TensorProto.INT8, onnx.TensorProto.UINT8
    there, back = [("Q", unsigned), ("D", unsigned)], [("Q", signed), ("D", signed)]
    assert zeros == [*there, ("D", signed), *there, *back, *there]
    x = np.linspace(-70, 70, 4, dtype=np.float32).reshape(1, 2, 2, 1)
    one, other = (onnxruntime.InferenceSession(p).run(None, {"x": x}) for p in (path, target))
    for expected, actual in zip(one, other, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_what_has_no_signed_activations_is_left_alone(tmp_path):
    text = MODEL.replace("int8 zero = {-3}", "uint8 zero = {3}")
    text = text.replace("int8[1,1,2,2] z", "uint8[1,1,2,2] z")
    onnx.save(parser.parse_model(text), tmp_path / "net.onnx")
    assert not write_unsigned(tmp_path / "net.onnx", tmp_path / "unsigned.onnx")
    assert not (tmp_path / "unsigned.onnx").exists()


WEIGHTS = """
<ir_version: 10, opset_import: ["" : 21]>
net (float[1,2] x) => (float[1,2] y, float[2] z)
<int8[2,2] w = {1, -2, 3, 4}, float[2] steps = {0.5, 0.25}, int8[2] zeros = {0, 1},
 uint8[2] whole = {7, 9}, float step = {2.0}>
{
    v = DequantizeLinear <axis = AXIS> (w, steps, zeros)
    y = MatMul (x, v)
    z = DequantizeLinear (whole, step)
}
"""


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_float_weights_are_the_same_values(tmp_path, axis):
    source, target = tmp_path / "net.onnx", tmp_path / "float.onnx"
    onnx.save(parser.parse_model(WEIGHTS.replace("AXIS", str(axis))), source)
    assert write_float_weights(source, target)
    assert [node.op_type for node in onnx.load(target).graph.node] == ["MatMul"]
    x = {"x": np.float32([[1, 10]])}
    # Optimized, ONNX Runtime quantizes what is multiplied by integers in one axis.
    one, other = (OnnxRuntimeProgram(p, optimize=False).run(x) for p in (source, target))
    for name, expected in one.items():
        np.testing.assert_array_equal(other[name], expected)
    assert not write_float_weights(target, tmp_path / "again.onnx")


def test_activations_of_16_bits_have_a_name_of_their_own(path, tmp_path):
    assert quantized_precision(path) == "int8"
    text = MODEL.replace("int8 zero", "int16 zero")
    text = text.replace("int8[1,1,2,2] z", "int16[1,1,2,2] z")
    onnx.save(parser.parse_model(text), tmp_path / "wide.onnx")
    assert quantized_precision(tmp_path / "wide.onnx") == "int16"
