import json

import pytest

from octavo.compiler.report.chrome_trace import chrome_trace
from octavo.compiler.report.manifest import report_from_manifest


def test_steps_follow_each_other_run_after_run(manifest):
    steps = report_from_manifest(manifest).steps
    trace = chrome_trace("tiny", steps, [[10.0, 20.0], [1.0, 2.0]])
    events = [e for e in trace["traceEvents"] if e["ph"] == "X" and e["cat"] != "run"]
    assert [(e["name"], e["ts"], e["dur"]) for e in events] == [
        ("stem/conv", 0.0, 10.0),
        ("head/softmax", 10.0, 1.0),
        ("stem/conv", 11.0, 20.0),
        ("head/softmax", 31.0, 2.0),
    ]
    runs = [e for e in trace["traceEvents"] if e.get("cat") == "run"]
    assert [(e["ts"], e["dur"]) for e in runs] == [(0.0, 11.0), (11.0, 22.0)]
    json.dumps(trace, allow_nan=False)


def test_timings_of_other_steps_are_a_mistake(manifest):
    with pytest.raises(ValueError, match="2 steps but timings of 1"):
        chrome_trace("tiny", report_from_manifest(manifest).steps, [[1.0]])
