"""External data: the shapes of CVE-2022-25882, 2024-27318, 2025-51480, 2026-27489, 2026-34445,
2026-34446, 2026-34447 and of the sparse bypass in onnxruntime 1.26, each one a test.
"""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from octavo.compiler.importer import Limits, import_model
from octavo.errors import ModelError

WEIGHT = np.arange(6, dtype=np.float32)
SECRET = b"\x00\x00\x80\x3f" * 6


def write_model(folder: Path, **entries: str) -> Path:
    """Write x + w with w outside the file, and data.bin with w after 8 bytes."""
    (folder / "data.bin").write_bytes(bytes(8) + WEIGHT.tobytes())
    weight = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[6])
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        weight.external_data.add(key=key, value=value)
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[6] x) => (float[6] y) { y = Add(x, w) }"""
    )
    model.graph.initializer.append(weight)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def weight_of(model) -> np.ndarray:
    return next(iter(model.graph.initializers.values())).const_value.numpy()


def test_external_data_is_off_by_default(tmp_path):
    path = write_model(tmp_path, location="data.bin", offset="8", length="24")
    with pytest.raises(ModelError, match="--allow-external-data"):
        import_model(path)


@pytest.mark.parametrize("extra", [{"length": "24"}, {}, {"checksum": "anything"}])
def test_allowed_external_data_is_read(tmp_path, extra):
    path = write_model(tmp_path, location="data.bin", offset="8", **extra)
    model = import_model(path, allow_external_data=True)
    np.testing.assert_array_equal(weight_of(model), WEIGHT)


def test_a_subfolder_is_inside_the_models_folder(tmp_path):
    path = write_model(tmp_path, location="sub/w.bin")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(WEIGHT.tobytes())
    np.testing.assert_array_equal(
        weight_of(import_model(path, allow_external_data=True)), WEIGHT
    )


@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "a/../../secret.bin", "a/../data.bin", "./data.bin", "{secret}", "",
     "..\\secret.bin", "C:\\secret.bin", "file:///etc/passwd", "a//data.bin", "data.bin/",
     "..", "data.bin\0.txt"],
)  # fmt: skip
def test_locations_that_leave_the_folder_are_refused(tmp_path, location):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(SECRET)
    folder = tmp_path / "model"
    (folder / "a").mkdir(parents=True)
    path = write_model(folder, location=location.format(secret=secret))
    with pytest.raises(ModelError, match="not a plain relative path"):
        import_model(path, allow_external_data=True)


def test_a_symlinked_file_is_not_followed(tmp_path):
    path = write_model(tmp_path, location="link.bin")
    (tmp_path / "link.bin").symlink_to(tmp_path / "data.bin")
    with pytest.raises(ModelError, match="links are not followed"):
        import_model(path, allow_external_data=True)


def test_a_symlinked_folder_is_not_followed(tmp_path):
    path = write_model(tmp_path, location="link/data.bin")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ModelError, match="links are not followed"):
        import_model(path, allow_external_data=True)


def test_a_hard_link_is_refused(tmp_path):
    (tmp_path / "secret.bin").write_bytes(SECRET)
    path = write_model(tmp_path, location="hard.bin")
    os.link(tmp_path / "secret.bin", tmp_path / "hard.bin")
    with pytest.raises(ModelError, match="more than one link"):
        import_model(path, allow_external_data=True)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    path = write_model(tmp_path, location="pipe")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="not a regular file"):
        import_model(path, allow_external_data=True)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"offset": "-8"}, "offset '-8'"),
        ({"offset": "8", "length": "-24"}, "length '-24'"),
        ({"offset": "9"}, "has 23 bytes"),
        ({"offset": "9", "length": "24"}, "bytes 9 to 33 of a file with 32"),
        ({"offset": "1000000"}, "of a file with 32"),
        ({"length": "32"}, "has 32 bytes; its shape and type need 24"),
        ({"length": str(10**18)}, "of a file with 32"),
        ({"length": "9" * 5000}, "is not a number"),
        ({"offset": "0x8"}, "is not a number"),
        ({"offset": "\u0668"}, "is not a number"),
        ({"__class__": "x"}, "'__class__' is unknown"),
        ({"basepath": "/etc"}, "'basepath' is unknown"),
    ],
)
def test_wrong_entries_are_refused(tmp_path, entries, message):
    path = write_model(tmp_path, location="data.bin", **entries)
    with pytest.raises(ModelError, match=message):
        import_model(path, allow_external_data=True)


def test_a_key_given_twice_is_refused(tmp_path):
    path = write_model(tmp_path, location="data.bin")
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data.add(key="location", value="../secret.bin")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="given twice"):
        import_model(path, allow_external_data=True)


def test_sum_of_external_bytes_is_capped(tmp_path):
    path = write_model(tmp_path, location="data.bin", offset="8")
    with pytest.raises(ModelError, match="larger than allowed"):
        import_model(path, allow_external_data=True, limits=Limits(external_bytes=23))


def test_constant_nodes_follow_the_same_rules(tmp_path):
    path = write_model(tmp_path, location="../secret.bin")
    model = onnx.load(path, load_external_data=False)
    node = onnx.helper.make_node("Constant", [], ["w"])
    attribute = node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
    attribute.t.CopyFrom(model.graph.initializer[0])
    del model.graph.initializer[:]
    model.graph.node.insert(0, node)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="--allow-external-data"):
        import_model(path)
    with pytest.raises(ModelError, match="not a plain relative path"):
        import_model(path, allow_external_data=True)


@pytest.mark.parametrize("as_constant", [False, True])
def test_sparse_tensors_never_read_external_data(tmp_path, as_constant):
    path = write_model(tmp_path, location="data.bin", offset="8")
    model = onnx.load(path, load_external_data=False)
    indices = onnx.numpy_helper.from_array(np.arange(6), "w_indices")
    sparse = onnx.SparseTensorProto(
        values=model.graph.initializer[0], indices=indices, dims=[6]
    )
    del model.graph.initializer[:]
    if as_constant:
        node = onnx.helper.make_node("Constant", [], ["w"])
        node.attribute.add(
            name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse
        )
        model.graph.node.insert(0, node)
    else:
        model.graph.sparse_initializer.append(sparse)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="must be stored in the model itself"):
        import_model(path, allow_external_data=True)


def test_tensors_in_other_attributes_never_read_external_data(tmp_path):
    path = write_model(tmp_path, location="data.bin", offset="8", length="4")
    model = onnx.load(path, load_external_data=False)
    value = onnx.TensorProto()
    value.CopyFrom(model.graph.initializer[0])
    value.dims[:] = [1]
    del model.graph.initializer[:]
    shape = onnx.helper.make_node("Shape", ["x"], ["s"])
    fill = onnx.helper.make_node("ConstantOfShape", ["s"], ["w"])
    fill.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=value)
    model.graph.node.insert(0, shape)
    model.graph.node.insert(1, fill)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="must be stored in the model itself"):
        import_model(path, allow_external_data=True)


def test_a_folder_is_no_data_file(tmp_path):
    path = write_model(tmp_path, location="sub")
    (tmp_path / "sub").mkdir()
    with pytest.raises(ModelError, match="not a regular file"):
        import_model(path, allow_external_data=True)
