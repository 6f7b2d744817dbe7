"""From a profile to rows of the database."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.measurements.key import (
    Context,
    TuningKey,
    code_text,
    device_text,
    json_text,
    toolchain_of,
)
from octavo.compiler.measurements.latencies import KernelLatency
from octavo.compiler.measurements.step_operation import step_operation
from octavo.compiler.roofline.artifact_peaks import manifest_target
from octavo.compiler.roofline.machine import Machine
from octavo.errors import ArtifactError


def profile_rows(
    manifest: Mapping[str, Any],
    steps_us: Sequence[Sequence[float]] | NDArray[np.float64],
    machine: Machine,
    num_threads: int,
    profile: str = "",
) -> list[KernelLatency]:
    """What a profile says of its steps.

    Args:
        manifest: Of the artifact that was profiled.
        steps_us: Per step, the time of each run in microseconds, (steps, runs).
        machine: That ran it.
        num_threads: Threads that ran it.
        profile: Its id: with the number of the step, that of each row; empty: a new one.

    Raises:
        ArtifactError: The manifest lacks an entry, or one is of the wrong kind.
    """
    profile = profile or uuid.uuid4().hex
    now = datetime.now(UTC).isoformat()
    target = manifest_target(manifest)
    try:
        toolchain = toolchain_of(manifest["versions"])
        context = Context(code_text(target), device_text(machine), toolchain, num_threads)
        rows = []
        for index, (step, samples_us) in enumerate(
            zip(manifest["steps"], steps_us, strict=True)
        ):
            key = TuningKey(str(step["variant"]), json_text(step_operation(step)), context)
            low, median, high, p95 = np.percentile(samples_us, (25, 50, 75, 95)).tolist()
            rows.append(
                KernelLatency(
                    key, step["schedule"], median, low, high, p95, len(samples_us), now,
                    f"{profile}-{index}"))
        return rows
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"manifest.json is malformed ({type(error).__name__}: {error}); compile again"
        ) from error
