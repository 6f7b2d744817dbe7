"""Steps in an order in which the place where they run changes as rarely as possible.

Where the CPU takes over from an accelerator it waits for it, and memory changes hands. Steps
that do not depend on each other can run in any order: those of one place run for as long as
one is ready, and that leaves the fewest changes for the place it begins with.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import groupby

from octavo.compiler.lowering.program import Buffer, Step


def with_few_changes(steps: Sequence[Step]) -> list[Step]:
    """Reorder steps; those that could not save a change stay where they are."""
    given = list(steps)
    if len({step.on_accelerator for step in given}) < 2:
        return given
    candidates = [given, *(_grouped(given, first) for first in (False, True))]
    return min(candidates, key=_num_segments)


def _num_segments(steps: Sequence[Step]) -> int:
    return sum(1 for _ in groupby(steps, lambda step: step.on_accelerator))


def _grouped(steps: Sequence[Step], place: bool) -> list[Step]:
    """Run all that is ready in one place, then in the other, in the given order."""
    following, waits_for = _dependences(steps)
    ready: dict[bool, list[int]] = {False: [], True: []}
    for index, count in enumerate(waits_for):
        if count == 0:
            ready[steps[index].on_accelerator].append(index)
    for queue in ready.values():
        heapify(queue)
    order = []
    while ready[place] or ready[not place]:
        if not ready[place]:
            place = not place
        index = heappop(ready[place])
        order.append(steps[index])
        for later in following[index]:
            waits_for[later] -= 1
            if waits_for[later] == 0:
                heappush(ready[steps[later].on_accelerator], later)
    return order


def _dependences(steps: Sequence[Step]) -> tuple[list[set[int]], list[int]]:
    """Steps that must come after each one, and how many each comes after.

    Two steps keep their order where one writes a buffer that the other touches. A step that
    writes nothing checks what it reads: what reads that later comes after it.
    """
    following: list[set[int]] = [set() for _ in steps]
    writer: dict[Buffer, int] = {}
    readers: dict[Buffer, list[int]] = {}
    for index, step in enumerate(steps):
        checks = not any(operand.is_written for operand in step.operands)
        for operand in step.operands:
            buffer = operand.buffer
            if buffer in writer:
                following[writer[buffer]].add(index)
            if operand.is_written or checks:
                for reader in readers.pop(buffer, ()):
                    following[reader].add(index)
                writer[buffer] = index
            else:
                readers.setdefault(buffer, []).append(index)
    waits_for = [0] * len(steps)
    for index, later in enumerate(following):
        later.discard(index)
        for other in later:
            waits_for[other] += 1
    return following, waits_for
