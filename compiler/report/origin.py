"""Where a profile comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """What times depend on beside the artifact.

    Attributes:
        device: As ``--device`` names it.
        machine: The CPU, as the system tells it.
        num_threads: That ran it.
        inputs: "zeros" or "given".
        measured_at: UTC, ISO 8601.
        notes: What the reader must know of the measurement, in sentences.
    """

    device: str
    machine: str
    num_threads: int
    inputs: str
    measured_at: str
    notes: tuple[str, ...] = ()
