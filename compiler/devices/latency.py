"""Times of a model on any device, as its bench program writes and prints them."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Disturbance:
    """What the bench program noticed of the machine around it.

    Attributes:
        reference_us: Times of a loop of known work, before, between and after the runs: they
            change with the processor's clock and with what takes the processor away, and with
            nothing that the model does. Empty where the program does not say.
        num_preemptions: How often the system took a processor from the program in the whole
            runs.
        waited_share: Part of the whole runs' time in which the calling thread was ready to
            run and had no processor, 0..1.
        computed_s: Seconds that the program's threads had a processor, all of it included.
    """

    reference_us: tuple[float, ...] = ()
    num_preemptions: int = 0
    waited_share: float = 0.0
    computed_s: float = 0.0

    @property
    def typical_reference_us(self) -> float | None:
        """Median of the times of the loop; None where the program does not say."""
        return float(np.median(self.reference_us)) if self.reference_us else None


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


def pack_times(times: DeviceTimes) -> bytes:
    """What ``read_times`` reads."""
    sizes = (times.runs_us.size, *times.steps_us.shape)
    values = np.concatenate([sizes, times.runs_us * 1e3, times.steps_us.ravel() * 1e3])
    packed: bytes = np.rint(values).astype("<u8").tobytes()
    return packed


def read_disturbance(device: str, text: str) -> Disturbance:
    """Read what ``bench --json`` prints.

    Raises:
        DeviceError: It printed something else: it was cut off in the middle.
    """
    try:
        found = json.loads(text)
        return Disturbance(
            reference_us=tuple(float(time) for time in found.get("reference_us", ())),
            num_preemptions=int(found.get("num_preemptions", 0)),
            waited_share=float(found.get("waited_share", 0.0)),
            computed_s=float(found.get("computed_s", 0.0)),
        )
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DeviceError(f"{device}: the program ended without its result") from error
