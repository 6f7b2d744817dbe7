"""Run everybody on one network: who computes it right, and who is fastest.

Of the ways in which a runtime can run a precision, a short trial finds the fastest whose
output is right; all runtimes and precisions then alternate in one process, on the same inputs.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fidelity import sqnr_db
from benchmarks.interleave import measure_interleaved
from benchmarks.peers import octavo_runner
from benchmarks.peers.onnxruntime_runner import OnnxRuntimeModel
from benchmarks.peers.protocol import Candidate, Inputs, Program, Task
from benchmarks.workloads import Workload
from octavo.compiler.bench.agreement import MIN_SQNR_DB
from octavo.compiler.bench.turns import SETTLE_S, THREADED_TURN_S, TURN_S

TRIAL_S = 0.4
TRIAL_RUNS = 4
# Each turn is several runs, after one that is not timed.
TURNS = {
    1: {"turn_s": TURN_S, "settle_s": 0.0},
    2: {"turn_s": THREADED_TURN_S, "settle_s": SETTLE_S},
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One program of a comparison.

    Attributes:
        peer: Name of the runtime.
        precision: ``float32``, ``bf16`` or ``int8``.
        variant: How the file was made, where there are several ways.
        sqnr_db: Its output against ONNX Runtime's float one; None where it did not run.
        problem: Why it is out of the comparison, one line; empty when it is not.
        trial_ms: Fastest run of the trial.
        median_ms: Half of the runs were faster; None for what lost the trial.
        low_ms: First quartile.
        high_ms: Third quartile.
        min_ms: Fastest run.
        num_runs: Timed runs.
    """

    peer: str
    precision: str
    variant: str
    sqnr_db: float | None = None
    problem: str = ""
    trial_ms: float | None = None
    median_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    min_ms: float | None = None
    num_runs: int = 0


def prepare(workload: Workload, folder: Path) -> None:
    """Compile one network for `compare`, in INT8 and in float."""
    octavo_runner.compile_both(_task(workload)[0], folder)


def compare(
    workload: Workload, folder: Path, num_threads: int, budget_s: float
) -> list[dict[str, Any]]:
    """Check and time one network with everybody.

    Pins this process, one core for each thread. Wants a fresh one: OpenVINO's thread pool
    stays as small as the set of cores that it was born with.

    Args:
        workload: What is run.
        folder: With our artifacts, see `prepare`.
        num_threads: 1 or 2.
        budget_s: Seconds of timing, trials not counted.

    Returns:
        Entries, fit for JSON.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-num_threads:])
    task, inputs = _task(workload)
    int8, real = octavo_runner.artifacts(folder)
    task = replace(task, quantized=int8 / "model.int8.onnx")
    found = octavo_runner.candidates(int8, real) + peers(task)
    reference = OnnxRuntimeModel(task.path)
    expected = [reference.run(x) for x in inputs]
    entries = measure(found, inputs, expected, num_threads, budget_s, **TURNS[num_threads])
    return [asdict(entry) for entry in entries]


def _task(workload: Workload) -> tuple[Task, list[Inputs]]:
    path, samples, inputs = workload.make()
    return Task(path, tuple(samples), workload.is_transformer), inputs


def peers(task: Task) -> list[Candidate]:
    """Return everybody else's candidates; an extra that is missing is an error."""
    from benchmarks.peers import litert_runner, onnxruntime_runner, openvino_runner

    runners = (onnxruntime_runner, openvino_runner, litert_runner)
    return [candidate for runner in runners for candidate in runner.candidates(task)]


def measure(
    candidates: Sequence[Candidate],
    inputs: Sequence[Inputs],
    expected: Sequence[Inputs],
    num_threads: int,
    budget_s: float,
    **turns: float,
) -> list[Entry]:
    """Try every candidate, then time the best of each peer and precision in turns.

    Args:
        candidates: Who takes part.
        inputs: The first one is timed; all are checked.
        expected: Output names to arrays, for each of the inputs.
        num_threads: Threads of every program.
        budget_s: Seconds of timing.
        **turns: Passed on to `measure_interleaved`.

    Returns:
        An entry for each candidate, in order.
    """
    entries: list[Entry] = []
    best: dict[tuple[str, str], tuple[float, int, Program]] = {}
    for index, candidate in enumerate(candidates):
        entry, program = _try(candidate, inputs, expected, num_threads)
        entries.append(entry)
        if program is None or entry.trial_ms is None:
            continue
        key = (entry.peer, entry.precision)
        if key not in best or entry.trial_ms < best[key][0]:
            best[key] = (entry.trial_ms, index, program)
    programs = {str(i): program.bind(inputs[0]) for _, i, program in best.values()}
    times = measure_interleaved(programs, min_runs=2, burst=2, budget_s=budget_s, **turns)
    for key, latency in times.items():
        entries[int(key)] = replace(
            entries[int(key)],
            median_ms=_rounded(latency.median_us),
            low_ms=_rounded(latency.low_us),
            high_ms=_rounded(latency.high_us),
            min_ms=_rounded(latency.min_us),
            num_runs=latency.num_runs,
        )
    return entries


def _try(
    candidate: Candidate,
    inputs: Sequence[Inputs],
    expected: Sequence[Inputs],
    num_threads: int,
) -> tuple[Entry, Program | None]:
    entry = Entry(
        peer=candidate.peer, precision=candidate.precision, variant=candidate.variant
    )
    try:
        program = candidate.load(num_threads)
        outputs = [program.run(x) for x in inputs]
    # Whatever another project's converter or runtime raises is a line in the notes.
    except Exception as error:
        return replace(entry, problem=_first_line(error)), None
    quality = sqnr_db(list(zip(map(dict, expected), outputs, strict=True)))
    quality = round(quality, 1) if np.isfinite(quality) else -np.inf
    entry = replace(entry, sqnr_db=max(quality, -99.0))
    limit = MIN_SQNR_DB[candidate.precision]
    if quality < limit:
        return replace(
            entry, problem=f"output off: {quality} dB, at least {limit} asked"
        ), None
    fastest_us = _trial(program.bind(inputs[0]))
    return replace(entry, trial_ms=_rounded(fastest_us)), program


def _trial(run: Callable[[], object]) -> float:
    """Return the fastest of some runs, microseconds."""
    times, deadline = [], time.perf_counter() + TRIAL_S
    while len(times) < TRIAL_RUNS or time.perf_counter() < deadline:
        start = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - start) / 1e3)
    return min(times)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:120] if lines else 'no message'}"


def _rounded(latency_us: float) -> float:
    return round(latency_us / 1e3, 5)
