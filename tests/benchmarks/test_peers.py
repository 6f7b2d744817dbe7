"""The peers are set up well, compute what the float network computes, and are timed alike."""

import numpy as np
import onnx
import pytest
from benchmarks.fidelity import sqnr_db
from benchmarks.interleave import measure_interleaved
from benchmarks.peers import cache
from benchmarks.peers.onnxruntime_runner import OnnxRuntimeModel, candidates, quantize_int8
from benchmarks.peers.protocol import Task
from benchmarks.zoo.registry import find_entry

MIN_SQNR_DB = {"float32": 100.0, "bf16": 25.0, "int8": 12.0}


@pytest.fixture
def model_path(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "peers")
    onnx.save(find_entry("ds_cnn").fitted(), tmp_path / "ds_cnn.onnx")
    return tmp_path / "ds_cnn.onnx"


def assert_all_match(path, found):
    samples = find_entry("ds_cnn").samples(4, seed=2)
    expected = [OnnxRuntimeModel(path).run(x) for x in samples]
    for candidate in found:
        program = candidate.load(1)
        outputs = [program.run(x) for x in samples]
        quality = sqnr_db(list(zip(expected, outputs, strict=True)))
        assert quality > MIN_SQNR_DB[candidate.precision], candidate
        # A bound function runs the first of the samples again and again.
        run = program.bind(samples[0])
        run(), run()
        again = program.run(samples[0])["logits"]
        np.testing.assert_array_equal(again, outputs[0]["logits"], str(candidate))


def task(path):
    return Task(path, tuple(find_entry("ds_cnn").samples(8, seed=1)))


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
    assert not list(first.parent.glob(f"*-{first.name}")), "a partial file was left"


def test_bound_inputs_run_the_model(model_path):
    entry = find_entry("ds_cnn")
    model, (sample,) = OnnxRuntimeModel(model_path), entry.samples(1)
    (bound,) = model.bind(sample)()
    np.testing.assert_array_equal(bound.numpy(), model.run(sample)["logits"])


def test_onnxruntime_matches_float(model_path):
    assert_all_match(model_path, candidates(task(model_path)))


def test_openvino_matches_float(model_path):
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    from benchmarks.peers.openvino_runner import candidates

    found = candidates(task(model_path))
    assert {candidate.precision for candidate in found} == {"float32", "bf16", "int8"}
    assert_all_match(model_path, found)


def test_litert_matches_float(model_path):
    pytest.importorskip("ai_edge_quantizer")
    from benchmarks.peers.litert_runner import candidates

    assert_all_match(model_path, candidates(task(model_path)))


def test_octavo_matches_float(model_path, tmp_path):
    from benchmarks.peers.octavo_runner import candidates, compile_both

    assert_all_match(model_path, candidates(*compile_both(task(model_path), tmp_path)))


def test_programs_take_turns():
    calls = []
    programs = {name: lambda name=name: calls.append(name) for name in ("a", "b", "c")}
    latency = measure_interleaved(programs, num_warmup=2, min_runs=5, budget_s=0.0)
    assert calls == ["a", "b", "c"] * 7
    assert {record.num_runs for record in latency.values()} == {5}


def test_a_turn_begins_with_a_run_that_does_not_count():
    calls = []
    programs = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    latency = measure_interleaved(
        programs, num_warmup=0, min_runs=2, budget_s=0.0, burst=3, turn_s=1e-9
    )
    assert calls == (["a"] * 4 + ["b"] * 4) * 2
    assert {record.num_runs for record in latency.values()} == {6}


def test_latency_orders_its_quartiles():
    latency = measure_interleaved({"sum": lambda: sum(range(2000))}, budget_s=0.05)["sum"]
    assert 0 < latency.min_us <= latency.low_us <= latency.median_us <= latency.high_us
    assert latency.num_runs >= 10
