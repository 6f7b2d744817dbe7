"""What each component of a graph network loses alone, in fewer and fewer bits.

All others have 8 bits. What breaks first is the component that loses most in the first width,
from the widest down, in which one loses more than what is tolerated.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from octavo.compiler.mixed_precision.accuracy import DROP, NOISE
from octavo.compiler.mixed_precision.measuring import Measuring
from octavo.compiler.mixed_precision.network import Formats, MixedNetwork
from octavo.passes.layer_format import EIGHT_BITS
from octavo.passes.message_passing.components import Role, component_formats

NARROW_BITS = (4, 3, 2)
TOLERATED = {DROP: 1.0, NOISE: -10.0}  # points of accuracy; decibels of noise over signal


@dataclass(frozen=True)
class AblationRow:
    """One component in one width.

    Attributes:
        component: What the component is: a value of ``Role``.
        bits: Its width; all others have 8.
        loss: Points of accuracy or decibels of noise; None where it cannot be built.
        buffer: Bytes of activations alive at one time.
    """

    component: str
    bits: int
    loss: float | None
    buffer: float | None


@dataclass(frozen=True)
class Ablation:
    """All components in all widths.

    Attributes:
        loss: Name of what is measured: "drop" or "noise".
        eight: Of 8 bits throughout.
        rows: By component, then from wide to narrow.
    """

    loss: str
    eight: float | None
    rows: tuple[AblationRow, ...]

    @property
    def breaks_first(self) -> str | None:
        """The component that loses most where one first loses too much."""
        for bits in sorted({row.bits for row in self.rows}, reverse=True):
            known = [(r.loss, r.component) for r in self.rows if r.bits == bits and r.loss]
            if known and max(known)[0] > TOLERATED[self.loss]:
                return max(known)[1]
        return None

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "loss": self.loss,
            "eight": self.eight,
            "rows": [asdict(row) for row in self.rows],
            "breaks_first": self.breaks_first,
        }


def ablate(network: MixedNetwork, loss: str, measuring: Measuring) -> Ablation | None:
    """Measure each component alone.

    Args:
        network: Any; one that passes no messages has no components.
        loss: "drop" or "noise".
        measuring: Answers.

    Returns:
        None of a network without components.
    """
    asked = ablation_formats(network)
    if not asked:
        return None
    eight: Formats = dict.fromkeys(network.layers, EIGHT_BITS)
    base, *measured = measuring.losses([eight, *(formats for _, _, formats in asked)])
    rows = [
        AblationRow(role.value, bits, one.values.get(loss), one.values.get("buffer"))
        for (role, bits, _), one in zip(asked, measured, strict=True)
    ]
    return Ablation(loss, base.values.get(loss), tuple(rows))


def ablation_formats(network: MixedNetwork) -> Sequence[tuple[Role, int, Formats]]:
    """Every component in every narrow width, with the configuration that has it so."""
    eight: Formats = dict.fromkeys(network.layers, EIGHT_BITS)
    return [
        (
            part.role,
            bits,
            {**eight, **component_formats([part], {part.role: bits}, EIGHT_BITS)},
        )
        for part in network.components
        for bits in NARROW_BITS
    ]
