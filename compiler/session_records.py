"""What a session gives: times of layers, repeated runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StepProfile:
    """Latencies of one step.

    Attributes:
        index: Place in the order of the run.
        name: The layer.
        kernel: The function that computes it.
        macs: Multiply-accumulates of one run.
        latencies_us: One per run, microseconds.
    """

    index: int
    name: str
    kernel: str
    macs: int
    latencies_us: tuple[float, ...]

    @property
    def latency_us(self) -> float:
        """Median over the runs."""
        return float(np.median(self.latencies_us))


@dataclass(frozen=True, eq=False)
class BoundRun:
    """Repeated runs on the same arrays; see ``Session.bind``.

    Attributes:
        inputs: What every run reads; fill them between runs.
        outputs: What every run overwrites.
        run: Runs one inference. Nothing is checked and nothing allocated.
    """

    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]
    run: Callable[[], None]
