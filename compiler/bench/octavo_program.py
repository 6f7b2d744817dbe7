"""An artifact as a program of a comparison."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import octavo
from octavo.compiler.bench.program import Inputs, Run
from octavo.compiler.session import load

VERSION = octavo.__version__


class OctavoProgram:
    """A loaded artifact."""

    def __init__(self, folder: Path, num_threads: int = 1) -> None:
        """Load an artifact with its own number of threads.

        Raises:
            ArtifactError, TargetError, DeviceError: As ``octavo.load`` does.
        """
        self._session = load(folder, num_threads=num_threads)

    def run(self, inputs: Inputs) -> dict[str, NDArray[Any]]:
        """Run one inference; input and output names to arrays."""
        return dict(self._session.run(dict(inputs)))

    def bind(self, inputs: Inputs) -> Run:
        """Return a function that runs one inference on these inputs, into the same arrays."""
        arrays = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        return self._session.bind(arrays).run
