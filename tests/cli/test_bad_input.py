"""Bad input: one line that names the cause, exit code 2, and nothing half-written."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper


def _not_onnx(folder, proto):
    path = folder / "bad.onnx"
    path.write_bytes(b"PK\x03\x04 this is a zip archive, more or less")
    return path


def _empty(folder, proto):
    path = folder / "bad.onnx"
    path.write_bytes(b"")
    return path


def _truncated(folder, proto):
    path = folder / "bad.onnx"
    data = proto.SerializeToString()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def _traversal(folder, proto):
    """External data outside the model's folder."""
    (folder / "secret.bin").write_bytes(bytes(4 * 54))
    inner = folder / "inner"
    inner.mkdir()
    weight = proto.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../secret.bin")
    path = inner / "bad.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def _unknown_operator(folder, proto):
    proto.graph.node[1].op_type = "Frobnicate"
    return _save(proto, folder)


def _unknown_domain(folder, proto):
    proto.graph.node[1].domain = "com.example"
    proto.opset_import.add(domain="com.example", version=1)
    return _save(proto, folder)


def _unbound(folder, proto):
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    return _save(proto, folder)


def _nan_weights(folder, proto):
    weight = numpy_helper.to_array(proto.graph.initializer[0]).copy()
    weight[0, 0, 0, 0] = np.nan
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "weight"))
    return _save(proto, folder)


def _missing_value(folder, proto):
    proto.graph.node[1].input[0] = "nowhere"
    return _save(proto, folder)


def _save(proto, folder):
    path = folder / "bad.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


BAD_MODELS = [
    (_not_onnx, "bad.onnx"),
    (_empty, "bad.onnx"),
    (_truncated, "bad.onnx"),
    (_traversal, "external"),
    (_unknown_operator, "Frobnicate"),
    (_unknown_domain, "com.example"),
    (_unbound, "--shape"),
    (_nan_weights, "NaN"),
    (_missing_value, "nowhere"),
]


def _image(shape=(4, 2, 4, 4), dtype=np.float32):
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


def _with_nan():
    image = _image()
    image[2, 0, 0, 0] = np.nan
    return image


BAD_SAMPLES = [
    ({"picture": _image()}, "picture"),
    ({}, "image"),
    ({"image": _image((4, 3, 4, 4))}, "image"),
    ({"image": _image(dtype=np.int64)}, "int64"),
    ({"image": _image((0, 2, 4, 4))}, "samples"),
    ({"image": np.zeros((4, 2, 4, 4), np.float32)}, "image"),
    ({"image": _with_nan()}, "NaN"),
    ({"image": np.array([{"a": 1}], dtype=object)}, "image"),
]

VERBS = ["quantize", "compile"]


def _command(verb, model, samples, output):
    target = ["--target", "host"] if verb == "compile" else []
    return [verb, model, *target, "--data", samples, "-o", output]


def _tree(folder):
    """Every path below a folder with its content."""
    return {
        path: path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(autouse=True)
def _work_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a stray file in the working folder would be seen, too


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("make", "word"), BAD_MODELS, ids=lambda v: getattr(v, "__name__", "")
)
def test_bad_model(octavo, tmp_path, proto, samples, verb, make, word):
    model = make(tmp_path, proto)
    before = _tree(tmp_path)
    outcome = octavo(*_command(verb, model, samples, tmp_path / "out"))
    assert outcome.code == 2, outcome.err
    assert word in outcome.error_line
    assert outcome.out == ""
    assert _tree(tmp_path) == before


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("arrays", "word"), BAD_SAMPLES)
def test_bad_samples(octavo, tmp_path, model, verb, arrays, word):
    samples = tmp_path / "bad.npz"
    np.savez(samples, **arrays)
    before = _tree(tmp_path)
    outcome = octavo(*_command(verb, model, samples, tmp_path / "out"))
    assert outcome.code == 2, outcome.err
    assert word in outcome.error_line
    assert _tree(tmp_path) == before


@pytest.mark.parametrize("verb", VERBS)
def test_samples_that_are_no_archive(octavo, tmp_path, model, verb):
    samples = tmp_path / "bad.npz"
    samples.write_bytes(b"hello")
    outcome = octavo(*_command(verb, model, samples, tmp_path / "out"))
    assert outcome.code == 2
    assert "bad.npz" in outcome.error_line


@pytest.mark.parametrize("verb", VERBS)
def test_an_empty_folder_of_samples(octavo, tmp_path, model, verb):
    folder = tmp_path / "no-samples"
    folder.mkdir()
    outcome = octavo(*_command(verb, model, folder, tmp_path / "out"))
    assert outcome.code == 2
    assert "no-samples" in outcome.error_line


@pytest.mark.parametrize("verb", VERBS)
def test_an_output_that_exists_stays_as_it_is(octavo, tmp_path, model, samples, verb):
    output = tmp_path / "out"
    if verb == "compile":
        output.mkdir()
        (output / "precious").write_text("mine", encoding="utf-8")
    else:
        output.write_text("mine", encoding="utf-8")
    before = _tree(tmp_path)
    outcome = octavo(*_command(verb, model, samples, output))
    assert outcome.code == 2
    assert "out" in outcome.error_line
    assert _tree(tmp_path) == before


def test_force_does_not_delete_a_folder_that_is_no_artifact(octavo, tmp_path, model, samples):
    output = tmp_path / "out"
    output.mkdir()
    (output / "precious").write_text("mine", encoding="utf-8")
    before = _tree(tmp_path)
    outcome = octavo(*_command("compile", model, samples, output), "--force")
    assert outcome.code == 2
    assert _tree(tmp_path) == before


def test_an_unknown_target_names_the_nearest(octavo, tmp_path, model, samples):
    command = [
        "compile",
        model,
        "--target",
        "hosst",
        "--data",
        samples,
        "-o",
        tmp_path / "out",
    ]
    outcome = octavo(*command)
    assert outcome.code == 2
    assert "'hosst'" in outcome.error_line
    assert "did you mean 'host'" in outcome.error_line


def test_a_float_model_without_samples_is_not_quantized_with_made_up_ones(
    octavo, tmp_path, model
):
    outcome = octavo("compile", model, "--target", "host", "-o", tmp_path / "out")
    assert outcome.code == 2
    assert "--data" in outcome.error_line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["run", "profile"])
def test_a_folder_that_is_no_artifact(octavo, tmp_path, samples, verb):
    folder = tmp_path / "folder"
    folder.mkdir()
    outcome = octavo(verb, folder, "--input", samples)
    assert outcome.code == 2
    assert "not an artifact" in outcome.error_line


def test_a_model_whose_import_dies_is_one_line(octavo, tmp_path, model, samples, monkeypatch):
    from octavo.compiler.importer.isolation import TRUSTED, parent

    monkeypatch.delenv(TRUSTED, raising=False)
    monkeypatch.setattr(parent, "_PROGRAM", "import os; os.abort()")
    before = _tree(tmp_path)
    for command in (["inspect", model], _command("compile", model, samples, tmp_path / "out")):
        outcome = octavo(*command)
        assert outcome.code == 2
        assert f"'{model}': its import crashed (SIGABRT)" in outcome.error_line
    assert _tree(tmp_path) == before
