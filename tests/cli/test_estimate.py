"""estimate: from a database of made-up measurements to a latency."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from octavo.compiler.measurements.database import database_path
from octavo.compiler.measurements.key import TuningKey, operation_text, this_context
from octavo.compiler.measurements.latencies import KernelLatency, LatencyStore
from octavo.targets import get_target
from octavo.targets.ops.conv import Conv

pytest.importorskip("sklearn")
NUM_NETWORKS, NUM_LAYERS = 12, 10


def fill(num_networks=NUM_NETWORKS, **context):
    """Convolutions of 0.1 us and a microsecond for 100,000 multiply-accumulates."""
    rng = np.random.default_rng(0)
    where = replace(this_context(get_target("host")), **context)
    rows = []
    for network in range(num_networks):
        for layer in range(NUM_LAYERS):
            op = Conv(1, *(int(n) for n in rng.integers(2, 40, 4)))
            latency_us = 0.1 + op.macs / 1e5
            key = TuningKey("conv_gemm.made_up.4x16", operation_text(op), where)
            rows.append(KernelLatency(
                key, None, latency_us, latency_us, latency_us, latency_us, 5, "2025",
                f"{where.code} {where.num_threads} {network}-{layer}"))
    with LatencyStore(database_path()) as store:
        store.add(rows)


def test_a_float_model_is_predicted_without_being_built(octavo, model, cache):
    fill()
    done = octavo("estimate", model, "--target", "host", "--json")
    assert done.code == 0, done.err
    estimate, notes = done.json["estimate"], done.json["notes"]
    assert 0 < estimate["total"]["low_us"] < estimate["total"]["latency_us"]
    assert estimate["total"]["latency_us"] < estimate["total"]["high_us"]
    assert "made-up samples" in notes[0]
    steps = estimate["steps"]
    assert sum(step["prediction"]["latency_us"] for step in steps) == pytest.approx(
        estimate["total"]["latency_us"])
    # only convolutions were measured: a pool is something else
    assert any(step["prediction"]["is_extrapolated"] for step in steps)
    assert (cache / "predictors").is_dir()


def test_the_table_names_steps_total_and_what_to_measure(octavo, model, samples, cache):
    fill()
    done = octavo("estimate", model, "--target", "host", "--data", samples,
                  "--interval", "0.8")
    assert done.code == 0, done.err
    assert "extrapolated" in done.out
    assert "with 80% probability" in done.out
    assert "a measurement would help most for" in done.out
    assert "made-up" not in done.err


def test_samples_can_be_made_from_the_model(octavo, cache):
    fill()
    digits = Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx"
    done = octavo("estimate", digits, "--target", "host", "--data", "synthetic", "--json")
    assert done.code == 0, done.err
    assert done.json["notes"][0].startswith("the 32 samples are synthetic, made from 5 Batch")
    assert done.json["estimate"]["total"]["latency_us"] > 0


def test_an_artifact_tells_its_target(octavo, model, samples, cache, tmp_path):
    fill()
    out = tmp_path / "out"
    compiled = octavo("compile", model, "--target", "host", "--data", samples, "-o", out)
    assert compiled.code == 0, compiled.err
    before = octavo("estimate", out, "--json").json["estimate"]
    assert all(step["measured_us"] is None for step in before["steps"])
    profiled = octavo("profile", out, "--runs", "3", "--no-roofline")
    assert profiled.code == 0, profiled.err
    after = octavo("estimate", out, "--json").json["estimate"]
    assert all(step["measured_us"] is not None for step in after["steps"])
    wrong = octavo("estimate", out, "--target", "host")
    assert wrong.code == 2
    assert "--target" in wrong.error_line


def test_too_little_data_is_one_line(octavo, model, cache):
    fill(num_networks=3)
    done = octavo("estimate", model, "--target", "host")
    assert done.code == 2
    assert "30 measured kernels of 3 networks are too few" in done.error_line


def test_measurements_of_other_code_or_threads_do_not_count(octavo, model, cache):
    fill(code="neon aarch64")
    done = octavo("estimate", model, "--target", "host")
    assert done.code == 2
    assert "no measurements for" in done.error_line
    fill(num_threads=2)
    done = octavo("estimate", model, "--target", "host")
    assert done.code == 2
    assert "0 measured kernels" in done.error_line


def test_a_model_needs_a_target(octavo, model, cache):
    done = octavo("estimate", model)
    assert done.code == 2
    assert "--target" in done.error_line
