"""The peers are set up well, and timing treats all programs alike."""

import numpy as np
import onnx
import pytest
from benchmarks.interleave import measure_interleaved
from benchmarks.peers import onnxruntime_runner
from benchmarks.peers.onnxruntime_runner import OnnxRuntimeModel, quantize_int8
from benchmarks.zoo.registry import find_entry


@pytest.fixture
def model_path(tmp_path, monkeypatch):
    monkeypatch.setattr(onnxruntime_runner, "FOLDER", tmp_path / "peers")
    onnx.save(find_entry("ds_cnn").fitted(), tmp_path / "ds_cnn.onnx")
    return tmp_path / "ds_cnn.onnx"


def test_int8_is_quantized_and_close_to_float(model_path):
    entry = find_entry("ds_cnn")
    quantized = quantize_int8(model_path, entry.samples(16, seed=1))
    graph = onnx.load(quantized).graph
    weights = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8]
    # One scale for each output channel of every Conv: 64 of each.
    assert sum(node.op_type == "Conv" for node in graph.node) == 9
    assert {len(t.dims) for t in weights if len(t.dims) > 1} == {2, 4}
    models = [OnnxRuntimeModel(path) for path in (model_path, quantized)]
    samples = entry.samples(8, seed=2)
    float_out, int8_out = (
        np.stack([model.run(sample)["logits"] for sample in samples]) for model in models
    )
    noise = np.square(float_out - int8_out).sum()
    assert 10 * np.log10(np.square(float_out).sum() / noise) > entry.min_sqnr_db


def test_quantizing_again_reads_the_kept_file_unless_the_samples_differ(model_path):
    entry = find_entry("ds_cnn")
    first = quantize_int8(model_path, entry.samples(4, seed=1))
    written = first.stat().st_mtime_ns
    assert quantize_int8(model_path, entry.samples(4, seed=1)) == first
    assert first.stat().st_mtime_ns == written
    assert quantize_int8(model_path, entry.samples(4, seed=2)) != first


def test_bound_inputs_run_the_model(model_path):
    entry = find_entry("ds_cnn")
    model, (sample,) = OnnxRuntimeModel(model_path), entry.samples(1)
    (bound,) = model.bind(sample)()
    np.testing.assert_array_equal(bound, model.run(sample)["logits"])


def test_programs_take_turns():
    calls = []
    programs = {name: lambda name=name: calls.append(name) for name in ("a", "b", "c")}
    latency = measure_interleaved(programs, num_warmup=2, min_runs=5, budget_s=0.0)
    assert calls == ["a", "b", "c"] * 7
    assert {record.num_runs for record in latency.values()} == {5}


def test_latency_orders_its_quartiles():
    latency = measure_interleaved({"sum": lambda: sum(range(2000))}, budget_s=0.05)["sum"]
    assert 0 < latency.min_us <= latency.low_us <= latency.median_us <= latency.high_us
    assert latency.num_runs >= 10
