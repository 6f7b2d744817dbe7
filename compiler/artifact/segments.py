"""Which steps run where, and what of the arena the CPU touches meanwhile."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from octavo.compiler.artifact.memory_plan import MemoryPlan
from octavo.compiler.lowering.program import Buffer, Program, Storage


@dataclass(frozen=True)
class Range:
    """Bytes of the arena."""

    offset_bytes: int
    num_bytes: int


@dataclass(frozen=True)
class Segment:
    """Consecutive steps in one place.

    Attributes:
        first_step: Number of the first one.
        num_steps: How many there are.
        on_accelerator: Where they run.
        ranges: What of the arena they read or write, disjoint; () on the accelerator.
    """

    first_step: int
    num_steps: int
    on_accelerator: bool
    ranges: tuple[Range, ...] = ()


def find_segments(program: Program, plan: MemoryPlan) -> list[Segment]:
    """Split the steps of a program by where they run."""
    segments = []
    for on_accelerator, group in groupby(
        enumerate(program.steps), lambda item: item[1].on_accelerator
    ):
        steps = list(group)
        buffers = [operand.buffer for _, step in steps for operand in step.operands]
        ranges = () if on_accelerator else arena_ranges(buffers, plan)
        segments.append(Segment(steps[0][0], len(steps), on_accelerator, ranges))
    return segments


def shared_ranges(program: Program, plan: MemoryPlan) -> tuple[Range, ...]:
    """What the caller touches between runs: inputs, outputs and state."""
    ports = [port.buffer for port in (*program.inputs, *program.outputs)]
    state = [buffer for buffer in program.buffers() if buffer.persistent]
    return arena_ranges([*ports, *state], plan)


def arena_ranges(buffers: Iterable[Buffer], plan: MemoryPlan) -> tuple[Range, ...]:
    """Bytes of the buffers that lie in the arena, joined where they meet.

    Buffers that are alive at different times may overlap.
    """
    found = sorted(
        (plan.offset_bytes(buffer), plan.offset_bytes(buffer) + buffer.num_bytes)
        for buffer in set(buffers)
        if buffer.storage is Storage.ARENA
    )
    joined: list[tuple[int, int]] = []
    for start, end in found:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return tuple(Range(start, end - start) for start, end in joined)
