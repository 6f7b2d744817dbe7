"""Times the steps of an artifact in a process of its own.

``python -m octavo.compiler.tuning.trial_process ARTIFACT SECONDS RESULT.npy``: a candidate
that crashes or never ends takes this process with it and nothing else.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from octavo.compiler.session import load

WARMUP = 3
CHUNK = 10  # runs between looks at the clock
MIN_CHUNKS, MAX_CHUNKS = 4, 40


def time_steps(folder: Path, seconds: float, result: Path) -> None:
    """Time every step until the time is over.

    The candidates are steps of one program, so that they take turns from run to run: what
    disturbs the machine for a while disturbs all of them.

    Args:
        folder: The artifact.
        seconds: How long to measure, unless that is fewer or more runs than allowed.
        result: .npy file to write: latencies in microseconds, float64 (steps, runs).
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    chunks: list[list[tuple[float, ...]]] = []
    with load(folder, verify=False) as session:
        end = time.monotonic() + seconds
        warmup = WARMUP
        while len(chunks) < MIN_CHUNKS or (
            len(chunks) < MAX_CHUNKS and time.monotonic() < end
        ):
            profiles = session.profile({}, runs=CHUNK, warmup=warmup)
            chunks.append([profile.latencies_us for profile in profiles])
            warmup = 0
    np.save(result, np.concatenate(chunks, axis=1), allow_pickle=False)


if __name__ == "__main__":
    time_steps(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
