"""Unfriendly channel widths, in words."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from octavo.compiler.report.units import printable

if TYPE_CHECKING:
    from octavo.compiler.explain.unfriendly import UnfriendlyLayer
    from octavo.targets.friendly_widths import FriendlyWidth

MIN_LOST_SHARE = 0.02  # of all products that are computed: less is not worth a line


def width_text(width: "FriendlyWidth") -> str:
    """A width, what it wastes, and friendlier ones."""
    near = [str(w) for w in (width.smaller, width.larger) if w is not None]
    friendly = f"; friendly: {' or '.join(near)}" if near else ""
    return f"{width.width} {width.axis} waste {width.waste:.0%}{friendly}"


def width_lines(
    layers: "Sequence[UnfriendlyLayer]", macs: int, limit: int
) -> Iterator[str]:
    """A summary, and the layers that lose the most; nothing where they lose next to nothing.

    Args:
        layers: Unfriendly ones, those that lose the most first.
        macs: Multiply-accumulates that the whole network needs.
        limit: Layers to name.
    """
    from octavo.compiler.explain.unfriendly import lost_share

    share = lost_share(layers, macs)
    if share < MIN_LOST_SHARE:
        return
    num = f"{len(layers)} layer{'s' if len(layers) > 1 else ''}"
    yield f"channel widths  waste {share:.1%} of all products, in {num}"
    for layer in layers[:limit]:
        widths = ", ".join(width_text(width) for width in layer.widths)
        yield f"  {printable(layer.name)}: {widths}"
    if len(layers) > limit:
        yield f"  and {len(layers) - limit} more"
