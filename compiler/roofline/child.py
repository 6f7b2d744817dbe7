"""Runs the probes in a process of its own: ``python -m octavo.compiler.roofline.child``.

A large arena is given back with the process, and nothing else runs in it.
"""

import json
import sys
from pathlib import Path
from time import perf_counter_ns

import numpy as np

from octavo.compiler.session import load

TASKS = Path("/proc/self/task")
WAITED = 1  # field of schedstat: nanoseconds that a thread was ready and had no core


def run_probes(folder: Path, num_threads: int, runs: int, result: Path) -> None:
    """Time every step of an artifact.

    Args:
        folder: The artifact.
        num_threads: Threads.
        runs: Measured runs.
        result: JSON file to write: "times_us", over the steps the fastest and the median time,
            and "waited_share", see ``Peaks``.
    """
    with load(folder, num_threads=num_threads) as session:
        start_ns, waited_ns = perf_counter_ns(), _waited_ns()
        profiles = session.profile({}, runs=runs, warmup=2)
        waited_ns = _waited_ns() - waited_ns
        waited_share = waited_ns / max(perf_counter_ns() - start_ns, 1)
    times_us = [[min(p.latencies_us), float(np.median(p.latencies_us))] for p in profiles]
    document = {"times_us": times_us, "waited_share": waited_share}
    result.write_text(json.dumps(document), encoding="ascii")


def _waited_ns() -> int:
    """Over all threads of this process; 0 where the system does not tell.

    Source: Linux, Documentation/scheduler/sched-stats.rst.
    """
    try:
        files = [path / "schedstat" for path in TASKS.iterdir()]
        return sum(int(file.read_text(encoding="ascii").split()[WAITED]) for file in files)
    except (OSError, ValueError, IndexError):
        return 0


if __name__ == "__main__":
    run_probes(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
