"""What a loaded model takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """Memory and time.

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
