"""Files that are not models, or not safe to open."""

import os

import onnx
import pytest

from octavo.compiler.importer import Limits, import_model
from octavo.errors import ModelError

RELU = """<ir_version: 10, opset_import: ["" : 21]>
g (float[2] x) => (float[2] y) { y = Relu(x) }"""


def test_a_valid_model_is_imported_at_opset_21(imported, op_types):
    model = imported(RELU)
    assert model.graph.opset_imports == {"": 21}
    assert op_types(model) == ["Relu"]
    assert model.graph.outputs[0].shape == (2,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an ONNX model"),
        (b"hello, this is text\n" * 20, "not an ONNX model"),
        (b"\x00" * 1000, "not an ONNX model"),
        (b"\x1c\x00\x00\x00TFL3" + b"\x00" * 64, "TFLite"),
        (b"\x80\x04\x95" + b"pickle" * 30, "not an ONNX model"),
        (onnx.parser.parse_model(RELU).graph.SerializeToString(), "not an ONNX model"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        import_model(path)


def test_every_truncation_is_refused(tmp_path):
    content = onnx.parser.parse_model(RELU).SerializeToString()
    path = tmp_path / "model.onnx"
    # the last field is the opset: a cut there loses either its number or the whole of it
    for length in range(len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError):
            import_model(path)


def test_paths_that_are_no_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="No such file"):
        import_model(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match="not a regular file"):
        import_model(tmp_path)
    with pytest.raises(ModelError, match="null"):
        import_model("a\0b")


def test_a_named_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelError, match="not a regular file"):
        import_model(tmp_path / "pipe.onnx")


def test_file_size_is_checked_before_reading(save):
    path = save(RELU)
    size = path.stat().st_size
    import_model(path, limits=Limits(file_bytes=size))
    with pytest.raises(ModelError, match=f"{size} bytes; at most {size - 1}"):
        import_model(path, limits=Limits(file_bytes=size - 1))
