"""What the user wants of a search."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from octavo.compiler.devices.find import find_device
from octavo.compiler.devices.qemu import QemuDevice
from octavo.compiler.selection.options import SelectionOptions
from octavo.passes.layer_format import EIGHT_BITS, FLOAT, LayerFormat
from octavo.targets.base import Target

DEFAULT_FORMATS = (EIGHT_BITS, LayerFormat(4, 8), FLOAT)
SOLVERS = ("front", "bisection", "integer-program", "reinforce", "random")
BUDGET = 64
MAX_JUDGING_SAMPLES = 512  # one of them is 0.2 points of accuracy

LATENCY, BYTES = "latency", "bytes"
BUFFER = "buffer"  # the most bytes of activations alive at one time, of graph networks
MILLISECONDS = "ms"


@dataclass(frozen=True)
class SearchOptions:
    """What the user wants.

    Attributes:
        formats: That a layer may take, the preferred one first.
        solver: One of ``SOLVERS``.
        budget: Configurations to evaluate at most.
        seed: Of all chance.
        limits: Largest value by name of an objective: "drop" in points, "noise" in decibels,
            "latency" in milliseconds or in what an emulator counts, "bytes", "buffer".
        device: Where latency is measured; None: it is no objective.
        by_component: One choice for all layers of a graph network that are the same to it, as
            all that aggregate.
    """

    formats: tuple[LayerFormat, ...] = DEFAULT_FORMATS
    solver: str = SOLVERS[0]
    budget: int = BUDGET
    seed: int = 0
    limits: Mapping[str, float] = field(default_factory=dict)
    device: SelectionOptions | None = None
    by_component: bool = False


def latency_unit(device: str, target: Target) -> str:
    """What latencies are in: "ms", or what an emulator counts."""
    if isinstance(find_device(device), QemuDevice) and target.emulator is not None:
        return target.emulator.unit
    return MILLISECONDS

