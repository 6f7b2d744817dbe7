"""What was executed."""

from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True)
class Counts:
    """Executed work.

    Attributes:
        instructions: On an architecture that issues packets of instructions, packets.
        loads: Reads of memory, as the emulator makes them: one that fills several registers
            may be several.
        stores: Writes, in the same way.
        loaded_bytes: What the loads read.
        stored_bytes: What the stores wrote.
    """

    instructions: int = 0
    loads: int = 0
    stores: int = 0
    loaded_bytes: int = 0
    stored_bytes: int = 0

    def __add__(self, other: Self) -> "Counts":
        return Counts(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))

    def __sub__(self, other: Self) -> "Counts":
        return Counts(*(a - b for a, b in zip(_values(self), _values(other), strict=True)))


def _values(counts: Counts) -> tuple[int, ...]:
    return tuple(getattr(counts, field.name) for field in fields(counts))


@dataclass(frozen=True)
class CountedRun:
    """One inference.

    Attributes:
        steps: One record per step, in the order of the run, with all that it calls.
        runtime: What calls the steps.
        emulator: What ran it, with its CPU.
        unit: What was counted as one instruction: "instructions", or "packets" of them.
    """

    steps: tuple[Counts, ...]
    runtime: Counts
    emulator: str
    unit: str

    @property
    def total(self) -> Counts:
        """Steps and runtime; copying the inputs is not in it."""
        return sum(self.steps, self.runtime)
