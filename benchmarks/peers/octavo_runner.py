"""Our own artifacts, in the same comparison."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import octavo
from benchmarks.peers.protocol import Candidate, Inputs, Run, Task

PEER = "Octavo"


class OctavoModel:
    """A loaded artifact."""

    def __init__(self, folder: Path, num_threads: int = 1) -> None:
        """Load an artifact with its own number of threads."""
        self._session = octavo.load(folder, num_threads=num_threads)

    def run(self, inputs: Inputs) -> dict[str, NDArray[Any]]:
        """Run one inference; input and output names to arrays."""
        return dict(self._session.run(dict(inputs)))

    def bind(self, inputs: Inputs) -> Run:
        """Return a function that runs one inference on these inputs, into the same arrays."""
        return self._session.bind({k: np.ascontiguousarray(v) for k, v in inputs.items()}).run


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
        Candidate(PEER, "int8", "", partial(OctavoModel, int8)),
        Candidate(PEER, "float32", "", partial(OctavoModel, real)),
    ]
