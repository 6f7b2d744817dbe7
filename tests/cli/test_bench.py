"""The command compares Octavo with other runtimes; no test looks at the times."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from octavo.compiler.artifact.manifest import (
    add_artifact_file,
    read_manifest,
    write_manifest,
)
from octavo.compiler.bench.contestant import Runtime
from octavo.compiler.compile import compile_model

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (float[1,4] image) => (float[1,3] scores)
<float[4,3] weight = {0.5, -1, 2, 0.25, 1, -0.5, 3, -2, 1, 0.75, -0.5, 1.5}>
{ scores = MatMul (image, weight) }
"""
QUICK = ("--threads", "1", "--seconds", "0", "--warmup", "0")


def rows_of(table):
    """Rows by runtime, precision and note."""
    return {(row["runtime"], row["precision"], row["note"]): row for row in table["rows"]}


@pytest.fixture
def proto():
    return parser.parse_model(MODEL)


@pytest.fixture
def model(proto, tmp_path):
    onnx.save(proto, tmp_path / "tiny.onnx")
    return tmp_path / "tiny.onnx"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Compiled once for all tests."""
    folder = tmp_path_factory.mktemp("bench")
    onnx.save(parser.parse_model(MODEL), folder / "tiny.onnx")
    compile_model(folder / "tiny.onnx", "host", folder / "float", float_only=True)
    return folder / "float"


@pytest.fixture
def artifact(compiled, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(compiled, tmp_path / "float"))


def test_digits_in_every_form(octavo):
    data = DIGITS / "calibration.npz"
    found = octavo(
        "bench", DIGITS / "digits.onnx", "--data", data, "--against", "ort", "--json",
        "--threads", "1,2", "--rounds", "2")  # fmt: skip
    assert found.code == 0, found.err
    document = found.json
    assert document["inputs"] == "samples"
    assert [table["num_threads"] for table in document["tables"]] == [1, 2]
    for table in document["tables"]:
        assert table["rounds"] == 2
        assert table["reference"] == "ONNX Runtime float32"
        rows = rows_of(table)
        assert list(rows) == [
            ("octavo", "int8", ""),
            ("octavo", "float32", ""),
            ("onnxruntime", "int8", "QDQ of Octavo"),
            ("onnxruntime", "int8", "QDQ of ONNX Runtime"),
            ("onnxruntime", "float32", ""),
        ]
        (beaten,) = (row for row in table["rows"] if row["lost_trial"] is not None)
        assert beaten["lost_trial"]["ratio"] > 1
        assert (beaten["runtime"], beaten["precision"]) == ("onnxruntime", "int8")
        assert (beaten["latency_us"], beaten["speedup"], beaten["problem"]) == (None, None, "")
        for (_, precision, _), row in rows.items():
            assert row["is_same_network"]
            if row is not beaten:
                assert len(row["rounds_us"]) == 2
                assert row["p10_us"] <= row["latency_us"] <= row["p90_us"]
            assert row["model_bytes"] > 10_000
            assert row["load_us"] > 0
            assert row["first_run_us"] > 0
            assert (row["agreement"]["sqnr_db"] > 100) == (precision == "float32")
        first, *others = table["rows"]
        assert first["speedup"] is None
        for row in others:
            if row is beaten:
                continue
            ratio = row["latency_us"] / first["latency_us"]
            assert row["speedup"] == pytest.approx(ratio)


def test_artifacts_are_taken_as_they_are(octavo, artifact, model, tmp_path):
    inputs = tmp_path / "x.npz"
    np.savez(inputs, image=np.ones((1, 4), np.float32))
    found = octavo("bench", artifact, model, "--input", inputs, *QUICK, "--against", "ort")
    assert found.code == 0, found.err
    assert "1 thread, 1 round in turns on the inputs that were given" in found.out
    assert "against Octavo float32" in found.out
    assert "Octavo int8" not in found.out


def test_a_float_model_without_samples_stays_float(octavo, model):
    found = octavo("bench", model, *QUICK, "--against", "onnxruntime", "--json")
    assert "no --data: the float model stays float" in found.err
    assert {row["precision"] for row in found.json["tables"][0]["rows"]} == {"float32"}
    assert found.json["inputs"] == "synthetic"


def test_other_outputs_are_not_compared(octavo, artifact, model, proto, tmp_path):
    (weight,) = (t for t in proto.graph.initializer if t.name == "weight")
    weight.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weight), "weight"))
    onnx.save(proto, tmp_path / "other.onnx")
    found = octavo("bench", artifact, tmp_path / "other.onnx", *QUICK, "--against", "ort")
    assert found.code == 0
    assert "warning: Octavo float32: its outputs are others" in found.err
    assert "not compared" in found.out


def test_a_model_that_a_peer_cannot_load_is_a_row(octavo, artifact):
    graph = onnx.load(artifact / "model.int8.onnx")
    graph.graph.node[0].op_type = "Unheard"
    add_artifact_file(artifact, "model.int8.onnx", graph.SerializeToString())
    found = octavo("bench", artifact, *QUICK, "--against", "ort", "--json")
    assert found.code == 0, found.err
    (table,) = found.json["tables"]
    ours, other = table["rows"]
    assert ours["latency_us"] > 0
    assert (other["latency_us"], other["load_us"], other["speedup"]) == (None, None, None)
    assert "Unheard" in other["problem"]
    assert table["reference"] is None
    assert "ONNX Runtime cannot say what is right: " in found.err
    shown = octavo("bench", artifact, *QUICK, "--against", "ort").out.splitlines()
    assert any(line.startswith("ONNX Runtime float32") and "failed" in line for line in shown)


def test_an_artifact_that_was_changed_is_refused(octavo, artifact):
    (artifact / "weights.bin").write_bytes(b"")
    found = octavo("bench", artifact, *QUICK)
    assert found.code == 2
    assert "changed after the artifact was built" in found.error_line


def test_wrong_options_are_one_line(octavo, model, artifact, tmp_path):
    for arguments, message in (
        ((model, model), "one network at a time"),
        (
            (model, "--against", "tensorrt"),
            "'tensorrt' is no runtime to compare with",
        ),
        ((model, "--against", "litert"), "--against litert: LiteRT runs .tflite files only"),
        ((model, "--threads", "1,none"), "'none' is no number of threads"),
        ((model, "--device", "qemu"), "bench compares on this machine"),
        ((artifact, "--data", tmp_path), "--data is for a model"),
        ((tmp_path,), "is not an artifact"),
    ):
        found = octavo("bench", *arguments)
        assert found.code == 2
        assert message in found.error_line


def test_artifacts_of_two_networks_are_refused(octavo, artifact, tmp_path):
    out = tmp_path / "other"
    shutil.copytree(artifact, out)
    manifest = read_manifest(out)
    manifest["inputs"][0]["name"] = "picture"
    write_manifest(out, manifest)
    found = octavo("bench", artifact, out)
    assert found.code == 2
    assert "is another network than" in found.error_line


def test_what_is_missing_is_named(octavo, model, monkeypatch):
    missing = {Runtime.OPENVINO, Runtime.LITERT}
    monkeypatch.setattr(Runtime, "is_installed", property(lambda self: self not in missing))
    found = octavo("bench", model, "--against", "openvino")
    assert found.code == 2
    assert found.error_line.endswith("OpenVINO is not installed: pip install 'octavo[bench]'")


class TestTflite:
    @pytest.fixture
    def path(self, tmp_path):
        pytest.importorskip("ai_edge_litert")
        from tests.compiler.importer.test_tflite import small_network

        path = tmp_path / "net.tflite"
        path.write_bytes(small_network("int8"))
        return path

    def test_litert_runs_the_file_itself(self, octavo, path):
        found = octavo(
            "bench", path, *QUICK, "--json", "--against", "litert,litert-reference,ort"
        )
        assert found.code == 0, found.err
        (table,) = found.json["tables"]
        assert table["reference"] == "LiteRT reference int8"
        rows = {row["runtime"]: row for row in table["rows"]}
        assert rows["litert"]["model_bytes"] == path.stat().st_size
        reference = rows["litert-reference"]["agreement"]
        assert reference["equal_share"] == 1.0
        for row in rows.values():
            assert row["is_same_network"]
            assert row["agreement"]["max_steps"] <= 1
        # Twice as fast on processors that multiply uint8 by int8, and the same numbers.
        assert rows["onnxruntime"]["note"] in ("QDQ of Octavo, as uint8", "QDQ of Octavo")

    def test_without_litert_the_others_are_compared(self, octavo, path, monkeypatch):
        missing = {Runtime.OPENVINO, Runtime.LITERT, Runtime.LITERT_REFERENCE}
        monkeypatch.setattr(
            Runtime, "is_installed", property(lambda self: self not in missing)
        )
        found = octavo("bench", path, *QUICK, "--json")
        assert found.code == 0
        line = "compared without it: LiteRT is not installed: pip install 'octavo[tflite]'"
        assert line in found.err.splitlines()
        (table,) = found.json["tables"]
        assert [row["runtime"] for row in table["rows"]] == ["octavo", "onnxruntime"]
        found = octavo("bench", path, "--against", "litert")
        assert found.code == 2
        assert "pip install 'octavo[tflite]'" in found.error_line
