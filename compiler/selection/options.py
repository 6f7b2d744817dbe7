"""What the user wants of operator selection."""

from dataclasses import dataclass

from octavo.compiler.devices.cores import ALL

SECONDS = 4.0


@dataclass(frozen=True)
class SelectionOptions:
    """What the user wants.

    Attributes:
        device: Where to measure, as ``find_device`` takes it.
        num_threads: Threads of the parallel kernels, 1..256.
        cores: CPUs of the device, as ``find_cpus`` takes them.
        seconds: Of each program in each comparison.
    """

    device: str
    num_threads: int = 1
    cores: str = ALL
    seconds: float = SECONDS
