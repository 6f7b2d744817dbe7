"""Times of a model on any device: measured by its bench program, read from a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.devices.base import TIMEOUT_S, Device
from octavo.compiler.devices.inference import checked_inputs, send_inputs
from octavo.compiler.roofline.machine import Machine
from octavo.errors import DeviceError

SAMPLES = "samples"
_NUM_SIZES = 3  # runs, steps, runs of each step


@dataclass(frozen=True)
class DeviceTimes:
    """What was measured, in the order of the runs.

    Attributes:
        runs_us: Whole runs, microseconds, (runs,).
        steps_us: Each step, (steps, runs); measured in other runs, which the clock calls
            between the steps make longer.
    """

    runs_us: NDArray[np.float64]
    steps_us: NDArray[np.float64]


def measure_times(
    device: Device,
    artifact: Path,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    runs: int,
    warmup: int,
    num_threads: int = 1,
    timeout_s: float = TIMEOUT_S,
) -> tuple[DeviceTimes, Machine]:
    """Measure an artifact's runs and steps where it is meant to run.

    Args:
        device: Where.
        artifact: Folder that the compiler wrote.
        inputs: One array per model input, of exactly its type and shape; None: zeros.
        runs: Measured runs, at least 1.
        warmup: Runs before them.
        num_threads: Threads of the parallel kernels, 1..256.
        timeout_s: All of it is ended and fails after so many seconds.

    Returns:
        The times, and the machine that they are of.

    Raises:
        ArtifactError: It is no artifact, or was changed after it was built.
        DataError: An input is missing, unknown, or of another type or shape.
        DeviceError: The device does not answer, or the run failed.
        TargetError: The device does not run code for the artifact's target.
    """
    arrays = {} if inputs is None else checked_inputs(artifact, inputs)
    arguments = ["--runs", str(runs), "--warmup", str(warmup), "--threads", str(num_threads)]
    arguments += ["--profile", "--samples", SAMPLES]
    with device.deploy(artifact) as deployment:
        arguments += send_inputs(deployment, arrays)
        deployment.run(arguments, timeout_s)
        times = read_times(device.name, deployment.fetch(SAMPLES))
        return times, deployment.machine()


def read_times(device: str, data: bytes) -> DeviceTimes:
    """Read the file that ``bench --samples`` writes.

    Args:
        device: Name of the device, for the message.
        data: Little-endian numbers of 64 bits.

    Raises:
        DeviceError: It is not such a file.
    """
    values = np.frombuffer(data[: len(data) // 8 * 8], "<u8")
    sizes = [int(size) for size in values[:_NUM_SIZES]]
    if len(sizes) == _NUM_SIZES:
        num_runs, num_steps, num_step_runs = sizes
        expected = _NUM_SIZES + num_runs + num_steps * num_step_runs
        if num_runs and len(data) == 8 * expected:
            times_us = values[_NUM_SIZES:].astype(np.float64) * 1e-3
            steps_us = times_us[num_runs:].reshape(num_steps, num_step_runs)
            return DeviceTimes(times_us[:num_runs], steps_us)
    raise DeviceError(f"{device}: the file of measured times is damaged ({len(data)} bytes)")
