"""The demo of the README keeps its promises."""

import json

import pytest
from examples.digits.demo import describe, run_demo


@pytest.mark.slow
def test_int8_keeps_accuracy_and_a_quarter_of_the_weights(tmp_path):
    outcome = run_demo(tmp_path, budget_s=0.5)
    # Sums are added in another order, so one near tie of the 450 images may fall otherwise.
    gap = outcome.accuracy["Octavo float"] - outcome.accuracy["ONNX Runtime float"]
    assert abs(gap) < 1.5 / 450
    assert outcome.accuracy["Octavo INT8"] >= outcome.accuracy["Octavo float"] - 0.01
    assert outcome.weights_bytes["int8"] <= 0.27 * outcome.weights_bytes["float"]
    assert all(latency.median_us > 0 for latency in outcome.latency.values())

    text = "\n".join(describe(outcome, tmp_path))
    for program in ("Octavo float", "Octavo INT8", "ONNX Runtime float", "ONNX Runtime INT8"):
        assert program in text
    page = (tmp_path / "int8" / "report.html").read_text(encoding="utf-8")
    assert "median of 200 runs" in page
    assert 'aria-label="Roofline of' in page
    assert "next bottleneck" in text
    trace = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    steps = {e["name"] for e in trace["traceEvents"] if e.get("cat") in ("int8", "float32")}
    assert steps == {step.name for step in outcome.report.steps}
