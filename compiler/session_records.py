"""What a session gives: times of layers, repeated runs, what the model takes."""

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


@dataclass(frozen=True)
class Usage:
    """What a loaded model takes.

    Attributes:
        arena_bytes: Tensors between layers.
        weights_mapped_bytes: Of the weight file, which the system may drop and read again.
        weights_copied_bytes: Weights that were expanded into memory.
        instance_bytes: Everything else but the stacks of threads.
        last_run_us: Time of the last run that succeeded, microseconds; None before it.
        num_threads: That run the model.
    """

    arena_bytes: int
    weights_mapped_bytes: int
    weights_copied_bytes: int
    instance_bytes: int
    last_run_us: float | None
    num_threads: int
