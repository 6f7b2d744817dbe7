"""What a loaded model takes.

Packages for Python take this file, for Python 3.9.
"""

from __future__ import annotations

from dataclasses import dataclass

from octavo.compiler.native_structs import UsageStruct


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


def read_usage(struct: UsageStruct) -> Usage:
    """The record of what the library says."""
    return Usage(
        arena_bytes=struct.arena_bytes,
        weights_mapped_bytes=struct.weights_mapped_bytes,
        weights_copied_bytes=struct.weights_copied_bytes,
        instance_bytes=struct.instance_bytes,
        last_run_us=struct.last_run_ns / 1e3 or None,
        num_threads=struct.num_threads,
    )
