"""Channel widths at which a kernel computes nothing in vain, near those of an operation.

SpaceEvo (ICCV 2023) found that channel widths decide whether INT8 pays on a device, and that
their granularity belongs to the device. Here it follows from the layout of the kernels that
would be chosen: no table of devices, no rule of thumb.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from octavo.errors import LoweringError
from octavo.targets.isa import Isa
from octavo.targets.library import select
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.requantize import Requantize
from octavo.targets.padding import (
    CHANNELS,
    INPUT_CHANNELS,
    OUTPUT_CHANNELS,
    Padding,
    padding_of,
    waste,
)

MAX_UNITS = 4  # vectors of products that a wider layer may be away
CHANNEL_AXES = frozenset({CHANNELS, INPUT_CHANNELS, OUTPUT_CHANNELS})


@dataclass(frozen=True)
class FriendlyWidth:
    """A width of an operation, and the nearest ones without waste.

    Attributes:
        axis: "channels" where input and output are the same ones (depthwise), else
            "input channels" or "output channels".
        width: Of the operation, all groups together.
        waste: Part of the computed products along it that nobody wants, in [0, 1).
        smaller: The next smaller width without waste; None where there is none.
        larger: The next larger one; None where there is none nearby.
    """

    axis: str
    width: int
    waste: float
    smaller: int | None
    larger: int | None


def friendly_widths(op: Any, isa: Isa) -> tuple[FriendlyWidth, ...]:
    """Say of each channel width what it wastes, and which ones nearby waste nothing.

    Args:
        op: An operation record. Only convolutions, and products with constant weights, which
            are convolutions too, have widths that a network's author chooses.
        isa: Instructions of the target.

    Returns:
        One record for each width; none for other operations, and where no kernel tells.
    """
    if not isinstance(op, Conv):
        return ()
    found = (_nearest(axis, width, of_width, step, isa)
             for axis, width, step, of_width in _axes(op))
    return tuple(f for f in found if f is not None)


def channel_waste(op: Any, isa: Isa) -> float:
    """Part of the computed products that channel widths alone make useless, in [0, 1)."""
    return waste(p for p in paddings(op, isa) if p.axis in CHANNEL_AXES)


def integer_twin(op: Conv, isa: Isa) -> Conv:
    """The convolution of the same sizes in INT8, with a plain epilogue."""
    same = {field.name: getattr(op, field.name) for field in fields(Conv)}
    plain = {
        "dtype": isa.activation_dtype, "residual": False,
        "requantize": Requantize(dtype=isa.activation_dtype)}
    return Conv(**{**same, **plain})


@lru_cache(maxsize=4096)
def paddings(op: Any, isa: Isa) -> tuple[Padding, ...]:
    """What the kernel that serves an operation, whatever its constants, computes in vain."""
    try:
        return padding_of(select(op, isa), op, isa)
    except LoweringError:
        return ()


def _axes(op: Conv) -> Iterable[tuple[str, int, int, Callable[[int], Conv]]]:
    """Axis, width, step between widths, and the operation of another width."""
    # What lies around the channels is not of interest: tensors without gaps.
    op = replace(op, in_pixel_stride=0, placement=replace(op.placement, pixel_stride=0))
    if op.groups == op.in_c == op.out_c > 1:
        yield CHANNELS, op.in_c, 1, lambda width: replace(
            op, in_c=width, out_c=width, groups=width)
        return
    yield INPUT_CHANNELS, op.in_c, op.groups, lambda width: replace(op, in_c=width)
    yield OUTPUT_CHANNELS, op.out_c, op.groups, lambda width: replace(op, out_c=width)


def _nearest(
    axis: str, width: int, of_width: Callable[[int], Conv], step: int, isa: Isa
) -> FriendlyWidth | None:
    wasted = _waste(of_width(width), axis, isa)
    if wasted is None:
        return None
    if not wasted:
        return FriendlyWidth(axis, width, 0.0, width, width)

    def first(widths: Iterable[int]) -> int | None:
        return next((w for w in widths if _waste(of_width(w), axis, isa) == 0), None)

    most = width + MAX_UNITS * isa.lanes * isa.dot_k * step
    return FriendlyWidth(
        axis, width, wasted,
        first(range(width - step, 0, -step)), first(range(width + step, most, step)))


def _waste(op: Conv, axis: str, isa: Isa) -> float | None:
    """Waste along one axis; None where the kernel does not tell.

    A kernel that counts no such axis rounds nothing up along it.
    """
    found = paddings(op, isa)
    return waste(p for p in found if p.axis == axis) if found else None
