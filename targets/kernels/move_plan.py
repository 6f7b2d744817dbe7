"""Decide how a move is looped over: which axes, and what the innermost code is."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from octavo.targets.isa import Isa
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.spans import power_of_two_below
from octavo.targets.ops.move import Move

FEWEST_BLOCK = 4  # below it blocks win nothing


@dataclass(frozen=True)
class Axis:
    """One loop: its extent and how far one iteration goes."""

    extent: int
    src: int
    dst: int


def merged_axes(op: Move) -> list[Axis]:
    """The fewest loops that visit every index, in order of the destination."""
    axes = [Axis(*a) for a in zip(op.shape, op.src_strides, op.dst_strides, strict=True)
            if a[0] != 1]
    axes.sort(key=lambda a: (-abs(a.dst), -a.extent))
    merged: list[Axis] = []
    for axis in axes:
        if merged and (merged[-1].src, merged[-1].dst) == (
            axis.src * axis.extent, axis.dst * axis.extent
        ):
            merged[-1] = Axis(merged[-1].extent * axis.extent, axis.src, axis.dst)
        else:
            merged.append(axis)
    return merged or [Axis(1, 1, 1)]


@dataclass(frozen=True)
class MovePlan:
    """The loops of a move.

    Attributes:
        op: The move.
        isa: Instructions.
    """

    op: Move
    isa: Isa

    @cached_property
    def axes(self) -> list[Axis]:
        """Loops in the order of the destination."""
        return merged_axes(self.op)

    @property
    def is_parallel(self) -> bool:
        """Whether there is enough work for several threads."""
        return prod(a.extent for a in self.axes) >= PARALLEL_ELEMENTS

    @property
    def first(self) -> Axis:
        """The axis whose neighbours are neighbours in x; only of the forms that have one."""
        assert self.source_axis is not None
        return self.axes[self.source_axis]

    @property
    def outer(self) -> list[Axis]:
        """Axes around the innermost code."""
        if self.form in ("run", "repeat", "reverse", "scalar"):
            return self.axes[:-1]
        return [a for i, a in enumerate(self.axes[:-1]) if i != self.source_axis]

    @property
    def source_axis(self) -> int | None:
        """The axis, not the last, whose neighbours are neighbours in x."""
        found = [i for i, a in enumerate(self.axes[:-1]) if a.src == 1]
        return found[-1] if found else None

    @property
    def block(self) -> int:
        """Rows and columns of a transposed register block."""
        extents = (self.axes[-1].extent, self.first.extent)
        sizes = [np.dtype(dtype).itemsize for dtype in (self.op.dtype, self.op.out_dtype)]
        # Rows of the narrower type fill at most a register, and not too many registers.
        register_bytes = 4 * self.isa.lanes
        limit = min(self.isa.max_block, max(FEWEST_BLOCK, register_bytes // min(sizes)))
        room = self.isa.num_registers * register_bytes
        while limit * limit * max(sizes) > room:
            limit //= 2
        return min(limit, power_of_two_below(min(extents)))

    @cached_property
    def form(self) -> str:
        """How the innermost loops are written."""
        last = self.axes[-1]
        if last.dst == 1 and last.src in (0, 1, -1):
            return {0: "repeat", 1: "run", -1: "reverse"}[last.src]
        if last.dst == 1 and self.source_axis is not None:
            first = self.first
            if last.extent <= FEWEST_BLOCK and first.dst == last.extent:
                return "interleave"
            if first.extent <= FEWEST_BLOCK and last.src == first.extent:
                return "split"
            if self.block >= FEWEST_BLOCK:
                return "transpose"
        return "scalar"
