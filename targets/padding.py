"""Products that a kernel computes only because its registers and tiles are full: wasted work.

Vectors have so many lanes, one instruction adds so many products to each, a tile has so many
rows. Sizes that are no multiples of these are rounded up, in INT8 often further than in float.
A kernel with such sizes has a method ``padding(op, isa)``, next to those of ``Kernel``. It
lists the dimensions of its products, whose product is all that it computes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from octavo.targets.isa import Isa
    from octavo.targets.kernel import Kernel

CHANNELS = "channels"
OUTPUT_CHANNELS, INPUT_CHANNELS = "output channels", "input channels"
KERNEL_ROWS, PIXELS = "kernel rows", "pixels"
ROWS, COLUMNS, DEPTH = "rows", "columns", "depth"


@dataclass(frozen=True)
class Padding:
    """One dimension of the products of a kernel.

    Attributes:
        axis: What it counts.
        wanted: Its size in the operation, at least 1.
        computed: Its size in the kernel, padding and what is computed twice included.
    """

    axis: str
    wanted: int
    computed: int

    @property
    def waste(self) -> float:
        """Part of what is computed that nobody wants, in [0, 1)."""
        return 1 - self.wanted / self.computed


def padding_of(kernel: "Kernel[Any]", op: Any, isa: "Isa") -> tuple[Padding, ...]:
    """Dimensions of the products of a kernel; none where it does not tell."""
    tell = getattr(kernel, "padding", None)
    return () if tell is None else tuple(tell(op, isa))


def waste(paddings: Iterable[Padding]) -> float:
    """Part of all computed products that nobody wants, in [0, 1)."""
    return 1 - prod(p.wanted / p.computed for p in paddings)


def round_up(size: int, unit: int) -> int:
    """The smallest multiple of ``unit`` that is not below ``size``."""
    return -(-size // unit) * unit
