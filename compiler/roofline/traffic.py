"""Bytes that a step cannot do without."""

from collections.abc import Iterable
from dataclasses import dataclass

from octavo.compiler.lowering.program import Operand, Step, Storage


@dataclass(frozen=True)
class Traffic:
    """Unique bytes of one call: what it must read and write, each byte once.

    Attributes:
        read_bytes: Activations read.
        weight_bytes: Constants read.
        written_bytes: Activations written.
    """

    read_bytes: int
    weight_bytes: int
    written_bytes: int

    @property
    def activation_bytes(self) -> int:
        """What lies in the arena."""
        return self.read_bytes + self.written_bytes

    @property
    def num_bytes(self) -> int:
        """All of them."""
        return self.activation_bytes + self.weight_bytes


def step_traffic(step: Step) -> Traffic:
    """Add up the operands of a step; no byte of a buffer counts twice."""
    read = [o for o in step.operands if not o.is_written]
    return Traffic(
        read_bytes=_unique_bytes(o for o in read if o.buffer.storage is Storage.ARENA),
        weight_bytes=_unique_bytes(o for o in read if o.buffer.storage is Storage.WEIGHTS),
        written_bytes=_unique_bytes(o for o in step.operands if o.is_written),
    )


def _unique_bytes(operands: Iterable[Operand]) -> int:
    found: dict[int, int] = {}
    for operand in operands:
        size = operand.buffer.num_bytes
        wanted = operand.touched_bytes
        part = size if wanted is None else min(wanted, size)
        # Several operands in one buffer are parts of it, or all of it again and again.
        found[id(operand.buffer)] = min(size, part + found.get(id(operand.buffer), 0))
    return sum(found.values())
