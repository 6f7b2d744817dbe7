"""What a search measures of every configuration, and how people call it."""

from dataclasses import dataclass

from octavo.compiler.calibration.signal_to_noise import MAX_DB

TITLES = {
    "drop": ("accuracy lost", "points"),
    "noise": ("noise over signal", "dB"),
    "latency": ("latency", "ms"),
    "bytes": ("weights", "B"),
    "buffer": ("live buffers", "B"),
}


@dataclass(frozen=True)
class Objective:
    """What is measured of every point; less is better.

    Attributes:
        name: As points, limits and references call it.
        title: As people call it.
        unit: "points" of accuracy, "dB", "ms", "B", or what is counted.
    """

    name: str
    title: str
    unit: str

    def is_exact(self, value: float) -> bool:
        """Whether there is no noise at all, which decibels have no number for."""
        return self.unit == "dB" and value <= -MAX_DB


def objective_of(name: str, latency_unit: str = "ms") -> Objective:
    """An objective by its name.

    Args:
        name: "drop", "noise", "latency", "bytes" or "buffer"; another one is its own title.
        latency_unit: "ms", or what an emulator counts.
    """
    title, unit = TITLES.get(name, (name, ""))
    return Objective(name, title, latency_unit if name == "latency" else unit)
