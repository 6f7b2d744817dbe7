"""Our own artifacts, in the same comparison."""

from functools import partial
from pathlib import Path

import numpy as np

import octavo
from benchmarks.peers.protocol import Candidate, Task
from octavo.compiler.bench.octavo_program import OctavoProgram

PEER = "Octavo"


def compile_both(task: Task, folder: Path, target: str = "host") -> tuple[Path, Path]:
    """Compile a task in INT8 and in float, and return the two artifacts.

    Args:
        task: What is compiled, and calibration data.
        folder: Where the artifacts go; those of before are replaced.
        target: Name of the target.
    """
    names = task.samples[0]
    samples = {name: np.stack([s[name] for s in task.samples]) for name in names}
    folder.mkdir(parents=True, exist_ok=True)
    int8, real = artifacts(folder)
    octavo.compile(task.path, target, int8, samples=samples, force=True)
    octavo.compile(task.path, target, real, float_only=True, force=True)
    return int8, real


def artifacts(folder: Path) -> tuple[Path, Path]:
    """Return where `compile_both` puts the INT8 and the float artifact."""
    return folder / "int8", folder / "float"


def candidates(int8: Path, real: Path) -> list[Candidate]:
    """Return the two artifacts of `compile_both`."""
    return [
        Candidate(PEER, "int8", "", partial(OctavoProgram, int8)),
        Candidate(PEER, "float32", "", partial(OctavoProgram, real)),
    ]
