"""Who takes part with which file, and what each is called."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

import octavo
from octavo.compiler.bench import contestants as module
from octavo.compiler.bench.contestant import Contestant, Runtime
from octavo.compiler.bench.contestants import choose_runtimes, contestants, reference
from octavo.compiler.bench.race import Race
from octavo.compiler.bench.subject import Subject
from octavo.compiler.bench.turns import TurnPlan
from octavo.errors import DataError, ModelError, TargetError

ADD = """
<ir_version: 8, opset_import: ["" : 17]>
twice (float[2] x) => (float[2] y) { y = Add (x, x) }
"""
PEERS = (Runtime.LITERT, Runtime.ONNXRUNTIME, Runtime.OPENVINO)


def manifest(int8=1, float32=0, **more):
    steps = [{"placement": "int8", "macs": int8}, {"placement": "float32", "macs": float32}]
    ports = {
        "inputs": [{"name": "x", "dtype": "float32", "shape": [4, 2]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [1]}],
    }
    return {"steps": steps, **ports, **more}


SUBJECT = Subject(
    artifacts=(Path("out/int8"), Path("out/float")),
    manifests=(manifest(9, 1), manifest(0, 1)),
    original=Path("net.onnx"),
    tflite=None,
    float_file=Path("net.onnx"),
    quantized_files=((Path("q.onnx"), "QDQ of Octavo"), (Path("o.onnx"), "QDQ of others")),
    precision="int8",
    is_quantized=False,
    is_dynamic=False,
)


@pytest.fixture
def rounds_to_bfloat16(monkeypatch):
    """Says whether the processor has bfloat16."""

    def set_to(has):
        target = type("Target", (), {"float_precisions": ("float32", "bf16")[: 1 + has]})
        monkeypatch.setattr(module, "get_target", lambda _: target)

    return set_to


def test_every_runtime_runs_every_file_it_takes(rounds_to_bfloat16):
    rounds_to_bfloat16(True)
    assert [found.full_title for found in contestants(SUBJECT, PEERS)] == [
        "Octavo int8 (10.0% in float32)",
        "Octavo float32",
        "ONNX Runtime int8 (QDQ of Octavo)",
        "ONNX Runtime int8 (QDQ of others)",
        "ONNX Runtime float32",
        "OpenVINO int8 (QDQ of Octavo)",
        "OpenVINO int8+bf16 (QDQ of Octavo)",
        "OpenVINO int8 (QDQ of others)",
        "OpenVINO int8+bf16 (QDQ of others)",
        "OpenVINO float32",
        "OpenVINO bf16",
    ]
    rounds_to_bfloat16(False)
    assert not any(found.bfloat16 for found in contestants(SUBJECT, PEERS))


def test_artifacts_alike_go_by_their_names():
    subject = replace(SUBJECT, manifests=(manifest(), manifest()))
    titles = [found.full_title for found in contestants(subject, ())]
    assert titles == ["Octavo int8 (int8)", "Octavo int8 (float)"]


def test_litert_runs_the_users_file_alone():
    subject = replace(SUBJECT, tflite=Path("net.tflite"), is_quantized=True)
    (found,) = contestants(subject, [Runtime.LITERT])[2:]
    assert (found.title, found.path) == ("LiteRT int8", Path("net.tflite"))
    assert (found.input_names, found.output_names) == (("x",), ("y",))
    assert contestants(SUBJECT, [Runtime.LITERT])[2:] == []


def test_who_says_what_is_right(monkeypatch):
    assert reference(SUBJECT).full_title == "ONNX Runtime float32 (not optimized)"
    assert not reference(SUBJECT).optimized
    monkeypatch.setattr(Runtime, "is_installed", True)
    whole = replace(SUBJECT, tflite=Path("net.tflite"), is_quantized=True)
    assert reference(whole).title == "LiteRT reference int8"
    # LiteRT would quantize activations, which the file does not.
    weights_only = replace(whole, is_quantized=False, is_dynamic=True)
    assert reference(weights_only).title == "ONNX Runtime float32"
    (litert,) = contestants(weights_only, [Runtime.LITERT])[2:]
    assert litert.full_title == "LiteRT int8 (activations quantized in every run)"
    monkeypatch.setattr(Runtime, "is_installed", False)
    assert reference(whole).title == "ONNX Runtime int8"


def test_what_is_chosen_without_a_wish(monkeypatch):
    here = {Runtime.ONNXRUNTIME, Runtime.LITERT}
    monkeypatch.setattr(Runtime, "is_installed", property(lambda self: self in here))
    assert choose_runtimes(None, has_tflite=False) == ((Runtime.ONNXRUNTIME,), ())
    both = (Runtime.LITERT, Runtime.ONNXRUNTIME)
    assert choose_runtimes(None, has_tflite=True) == (both, ())
    here.remove(Runtime.LITERT)
    chosen, (line,) = choose_runtimes(None, has_tflite=True)
    assert chosen == (Runtime.ONNXRUNTIME,)
    assert line.endswith("LiteRT is not installed: pip install 'octavo[tflite]'")
    with pytest.raises(TargetError, match=r"pip install 'octavo\[tflite\]'"):
        choose_runtimes([Runtime.LITERT_REFERENCE], has_tflite=True)
    here.add(Runtime.LITERT)
    with pytest.raises(DataError, match=r"\.tflite files only"):
        choose_runtimes([Runtime.LITERT], has_tflite=False)


def test_others_get_the_rows_in_use_alone():
    count = {"dimension": "n", "input": "n", "maximum": 4, "inputs": {"x": 0}, "outputs": {}}
    subject = replace(SUBJECT, manifests=(manifest(metadata={"counts": [count]}),) * 2)
    given = {"x": np.arange(8.0).reshape(4, 2), "n": np.array([3])}
    race = Race(
        subject=subject, runtimes=(), inputs=(given,), cpus=(), plan=TurnPlan(),
        is_silent=True)  # fmt: skip
    ours, theirs = (
        Contestant(runtime=runtime, precision="float32", path=Path("x"))
        for runtime in (Runtime.OCTAVO, Runtime.ONNXRUNTIME)
    )
    assert race.inputs_of(ours) == (given,)
    (used,) = race.inputs_of(theirs)
    assert {name: array.shape for name, array in used.items()} == {"x": (3, 2)}


def test_from_python(tmp_path):
    model = tmp_path / "add.onnx"
    onnx.save(parser.parse_model(ADD), model)
    options = {"inputs": {"x": np.float32([1, 2])}, "plan": TurnPlan(rounds=1, warmup=0)}
    result = octavo.bench([str(model)], against=["onnxruntime"], **options)
    (table,) = result.tables
    assert [row.contestant.title for row in table.rows] == [
        "Octavo float32", "ONNX Runtime float32"]  # fmt: skip
    assert result.inputs == "given"
    assert all(row.agreement.equal_share == 1 for row in table.rows)
    with pytest.raises(ModelError, match="no-such"):
        octavo.bench(["no-such.onnx"])
    with pytest.raises(ValueError, match="tensorrt"):
        octavo.bench([model], against=["tensorrt"])
    with pytest.raises(ValueError, match="give artifacts of it"):
        octavo.bench([model], against=["octavo"])
