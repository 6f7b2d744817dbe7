"""What every measure of sensitivity answers."""

from dataclasses import dataclass
from typing import Protocol

from octavo.passes.layer_format import LayerFormat


@dataclass(frozen=True)
class Score:
    """What one layer costs in one format.

    Attributes:
        loss: What the measure expects the network to lose; comparable between layers and
            formats of one measure, not between measures. Larger is worse.
        ms: Latency of the layer, milliseconds; None where nobody measured it.
        bytes: Size of its weight and of the scales of it.
    """

    loss: float
    ms: float | None
    bytes: int


class Measure(Protocol):
    """One way to tell how much a format of a layer costs."""

    def score(self, layer: str, layer_format: LayerFormat) -> Score:
        """The cost of one layer in one format.

        Args:
            layer: Name of the layer's node, one of ``FormatTrials.layers``.
            layer_format: The format to judge.
        """
        ...
