"""Layers whose channel widths make kernels compute in vain, and friendlier widths."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import onnx_ir as ir

from octavo.passes.prepare import prepare
from octavo.targets.base import Target
from octavo.targets.friendly_widths import (
    CHANNEL_AXES,
    FriendlyWidth,
    channel_waste,
    friendly_widths,
    integer_twin,
)
from octavo.targets.instructions import isa_of
from octavo.targets.ops.conv import Conv, Placement
from octavo.targets.ops.requantize import Requantize
from octavo.targets.padding import Padding, waste

INTEGERS = ("uint8", "int8")
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

    @property
    def lost_macs(self) -> float:
        """Products that it computes in vain."""
        return self.macs * self.waste / (1 - self.waste)


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
    return _by_loss(layer for layer in found if layer.widths)


def model_unfriendly_layers(model: ir.Model, target: Target) -> list[UnfriendlyLayer]:
    """The same of an imported model that nothing was compiled of yet, as if all were INT8.

    Args:
        model: Float or quantized; changed in place.
        target: To compile it for.

    Raises:
        LoweringError: It cannot be compiled.
    """
    from octavo.compiler.lowering.lower import lower

    isa = isa_of(target)
    found = []
    for step in lower(prepare(model), target).steps:
        op = step.op
        if not isinstance(op, Conv) or step.on_accelerator:
            continue
        if op.dtype not in INTEGERS:
            op = integer_twin(op, isa)
        wasted = channel_waste(op, isa)
        widths = tuple(f for f in friendly_widths(op, isa) if f.waste)
        if wasted >= MIN_WASTE and widths:
            found.append(UnfriendlyLayer(step.name, wasted, op.macs, widths))
    return _by_loss(found)


def lost_share(layers: Iterable[UnfriendlyLayer], macs: int) -> float:
    """Part of all computed products that the widths of some layers make useless, in [0, 1).

    Args:
        layers: Unfriendly ones.
        macs: Multiply-accumulates that the whole network needs.
    """
    lost = sum(layer.lost_macs for layer in layers)
    return lost / (macs + lost) if macs else 0.0


def _by_loss(layers: Iterable[UnfriendlyLayer]) -> list[UnfriendlyLayer]:
    return sorted(layers, key=lambda layer: -layer.lost_macs)


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
