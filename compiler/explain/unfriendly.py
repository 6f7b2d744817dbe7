"""Layers whose channel widths make kernels compute in vain, and friendlier widths."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from octavo.targets.base import Target
from octavo.targets.friendly_widths import (
    CHANNEL_AXES,
    FriendlyWidth,
    friendly_widths,
)
from octavo.targets.instructions import isa_of
from octavo.targets.ops.conv import Conv, Placement
from octavo.targets.ops.requantize import Requantize
from octavo.targets.padding import Padding, waste

MIN_WASTE = 0.15  # of what is computed; less hardly shows in the time


@dataclass(frozen=True)
class UnfriendlyLayer:
    """A layer that wastes much of what it computes because of its widths.

    Attributes:
        name: The layer.
        waste: Part of its products that nobody wants, in [0, 1).
        macs: Multiply-accumulates that it needs.
        widths: Those that cause it.
    """

    name: str
    waste: float
    macs: int
    widths: tuple[FriendlyWidth, ...]


def unfriendly_layers(
    steps: Iterable[Mapping[str, Any]], target: Target
) -> list[UnfriendlyLayer]:
    """Name the layers, those that waste the most products first.

    Args:
        steps: Of a manifest.
        target: What it was compiled for.

    Raises:
        KeyError, TypeError, ValueError: The manifest is malformed.
    """
    found = [
        UnfriendlyLayer(str(s["name"]), wasted, int(s["macs"]), step_widths(s, target))
        for s in steps if (wasted := channel_waste_of(s)) >= MIN_WASTE]
    named = [layer for layer in found if layer.widths]
    return sorted(named, key=lambda x: -x.macs * x.waste / (1 - x.waste))


def channel_waste_of(step: Mapping[str, Any]) -> float:
    """Part of the products of a step that its channel widths make useless, in [0, 1)."""
    paddings = (Padding(**entry) for entry in step.get("padding", ()))
    return waste(p for p in paddings if p.axis in CHANNEL_AXES)


def step_widths(step: Mapping[str, Any], target: Target) -> tuple[FriendlyWidth, ...]:
    """Channel widths of a step that waste anything, with friendly ones beside them.

    Args:
        step: Of a manifest.
        target: What it was compiled for.
    """
    operation = step["operation"]
    # What an accelerator computes has other layouts, which tell nothing.
    if not operation or operation["type"] != "Conv" or not channel_waste_of(step):
        return ()
    op = conv_from_record(operation)
    return tuple(f for f in friendly_widths(op, isa_of(target)) if f.waste)


def conv_from_record(record: Mapping[str, Any]) -> Conv:
    """A convolution from its record in a manifest.

    Raises:
        KeyError, TypeError: It is none.
    """
    known = {field.name for field in fields(Conv)}
    values = {name: value for name, value in record.items() if name in known}
    values["requantize"] = Requantize(**values["requantize"])
    values["placement"] = Placement(**values["placement"])
    return Conv(**values)
