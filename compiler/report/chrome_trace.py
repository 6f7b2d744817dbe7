"""Timings as a Chrome trace, for Perfetto or chrome://tracing.

Source: Trace Event Format, complete events (phase "X", times in microseconds).
"""

from collections.abc import Sequence
from typing import Any

from octavo.compiler.report.records import StepRecord


def chrome_trace(
    name: str, steps: Sequence[StepRecord], samples_us: Sequence[Sequence[float]]
) -> dict[str, Any]:
    """Lay out every run on one time line.

    Args:
        name: The model; names the process in the viewer.
        steps: Kernel calls in run order.
        samples_us: Per step, the time of each run in microseconds; equally many runs each.

    Returns:
        A JSON document. Steps follow each other without a gap, since only their durations were
        measured.
    """
    if len(steps) != len(samples_us):
        raise ValueError(f"{len(steps)} steps but timings of {len(samples_us)}")
    num_runs = min((len(s) for s in samples_us), default=0)
    events: list[dict[str, Any]] = [
        {"name": "process_name", "ph": "M", "pid": 0, "tid": 0, "args": {"name": name}},
        {"name": "thread_name", "ph": "M", "pid": 0, "tid": 0, "args": {"name": "steps"}},
        {"name": "thread_name", "ph": "M", "pid": 0, "tid": 1, "args": {"name": "runs"}},
    ]
    now_us = 0.0
    for run in range(num_runs):
        start_us = now_us
        for step, samples in zip(steps, samples_us, strict=True):
            duration_us = float(samples[run])
            events.append(
                {
                    "name": step.name,
                    "cat": step.placement,
                    "ph": "X",
                    "ts": now_us,
                    "dur": duration_us,
                    "pid": 0,
                    "tid": 0,
                    "args": {
                        "index": step.index,
                        "operators": " + ".join(step.op_types),
                        "kernel": step.variant,
                        "macs": step.macs,
                    },
                }
            )
            now_us += duration_us
        events.append(
            {
                "name": f"run {run}",
                "cat": "run",
                "ph": "X",
                "ts": start_us,
                "dur": now_us - start_us,
                "pid": 0,
                "tid": 1,
            }
        )
    return {"displayTimeUnit": "ns", "traceEvents": events}
