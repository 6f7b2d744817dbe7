"""What ``compile_model`` decides before it lowers: names, and whether samples are needed."""

import numpy as np
import onnx
import pytest

from octavo.compiler.compile import compile_model, model_identifier
from octavo.compiler.session import load
from octavo.errors import DataError

RELU = """<ir_version: 8, opset_import: ["" : 13]>
g (float[3] x) => (float[3] y) { y = Relu(x) }"""
INTEGERS = """<ir_version: 8, opset_import: ["" : 13]>
g (int32[3] x) => (int32[3] y) { y = Add(x, x) }"""
STORED_WEIGHT = """<ir_version: 8, opset_import: ["" : 13]>
g (float[2,3] x) => (float[2,2] y)
<int8[3,2] w = {1, 2, 3, 4, 5, 6}, float s = {0.5}, int8 z = {0}> {
    d = DequantizeLinear(w, s, z)
    y = MatMul(x, d)
}"""


def save(folder, text, name="m.onnx"):
    path = folder / name
    onnx.save(onnx.parser.parse_model(text), path)
    return path


@pytest.mark.parametrize("stem", ["model", "int", "7 nets", "模型", "run", "Model"])
def test_every_file_name_compiles(tmp_path, stem):
    path = save(tmp_path, RELU, f"{stem}.onnx")
    compile_model(path, "host", tmp_path / "out", float_only=True)
    x = np.float32([-1, 0, 2])
    with load(tmp_path / "out") as session:
        assert session.run({"x": x})["y"].tolist() == [0, 0, 2]


def test_identifiers_stay_recognizable():
    assert model_identifier("a/b/ResNet-50 v2.onnx") == "resnet_50_v2"


def test_a_model_without_float_needs_no_samples(tmp_path):
    compile_model(save(tmp_path, INTEGERS), "host", tmp_path / "out")
    x = np.int32([1, 2, 2**30])
    with load(tmp_path / "out") as session:
        np.testing.assert_array_equal(session.run({"x": x})["y"], x + x)


def test_stored_weights_say_nothing_of_activations(tmp_path):
    with pytest.raises(DataError, match="no samples"):
        compile_model(save(tmp_path, STORED_WEIGHT), "host", tmp_path / "out")
