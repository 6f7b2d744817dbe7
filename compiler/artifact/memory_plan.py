"""Where every buffer of a program lives: offsets into one arena, decided before it runs.

Two buffers that are ever needed at the same time do not overlap. Finding the smallest arena
is NP-hard (dynamic storage allocation); three greedy orders are tried and improved, and the
smallest result kept, next to the bound that no plan can beat.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from octavo.compiler.lowering.program import TENSOR_ALIGNMENT, Buffer, Program, Storage
from octavo.errors import LoweringError

BEFORE_FIRST_STEP = -1  # when the caller writes the inputs


@dataclass(frozen=True)
class Lifetime:
    """When a buffer holds something that is still needed.

    Attributes:
        buffer: The buffer.
        first_step: Step that writes it first; -1 for inputs and persistent buffers.
        last_step: Last step that touches it; the number of steps for outputs and persistent
            buffers.
        alignment: Bytes that its address is a multiple of.
    """

    buffer: Buffer
    first_step: int
    last_step: int
    alignment: int = TENSOR_ALIGNMENT

    @property
    def num_bytes(self) -> int:
        """Size, rounded up to whole aligned blocks."""
        return -(-self.buffer.num_bytes // self.alignment) * self.alignment

    def overlaps(self, other: "Lifetime") -> bool:
        """Whether both are needed during one step."""
        return self.first_step <= other.last_step and other.first_step <= self.last_step


@dataclass(frozen=True)
class Allocation:
    """A buffer and its place in the arena, a multiple of its alignment."""

    lifetime: Lifetime
    offset_bytes: int


@dataclass(frozen=True)
class MemoryPlan:
    """The arena of a program.

    Attributes:
        allocations: In order of first use.
        arena_bytes: Size of the arena.
        persistent_bytes: Its front part, which holds the persistent buffers and nothing else.
        lower_bound_bytes: Most bytes alive at one time; no plan is smaller.
        order: Name of the greedy order that won.
    """

    allocations: tuple[Allocation, ...]
    arena_bytes: int
    persistent_bytes: int
    lower_bound_bytes: int
    order: str
    _offsets: dict[Buffer, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        offsets = {a.lifetime.buffer: a.offset_bytes for a in self.allocations}
        object.__setattr__(self, "_offsets", offsets)

    def offset_bytes(self, buffer: Buffer) -> int:
        """Offset of an arena buffer."""
        return self._offsets[buffer]


# Large first packs tightest most of the time; the others win on chains and on long skips.
_ORDERS: tuple[tuple[str, Callable[[Lifetime], tuple[int, ...]]], ...] = (
    ("by_size", lambda x: (-x.num_bytes, x.first_step)),
    ("by_time", lambda x: (x.first_step, -x.num_bytes)),
    ("by_duration", lambda x: (x.first_step - x.last_step, -x.num_bytes)),
)


_MAX_IMPROVEMENTS = (
    30  # of each order; a hundred found nothing more on networks that were tried
)


def plan_memory(program: Program) -> MemoryPlan:
    """Give every arena buffer of ``program`` an offset.

    Args:
        program: Steps, inputs and outputs; a constant output stays in the weights.

    Returns:
        The smallest plan of all orders.

    Raises:
        LoweringError: A step reads a buffer before any step has written it.
    """
    lifetimes = find_lifetimes(program)
    persistent = [x for x in lifetimes if x.buffer.persistent]
    reusable = [x for x in lifetimes if not x.buffer.persistent]
    front, persistent_bytes = [], 0
    for lifetime in persistent:
        front.append(Allocation(lifetime, persistent_bytes))
        persistent_bytes += lifetime.num_bytes
    bound = persistent_bytes + _max_live_bytes(reusable)
    order, (placed, arena_bytes) = min(
        (
            (name, _place(sorted(reusable, key=key), persistent_bytes, bound))
            for name, key in _ORDERS
        ),
        key=lambda candidate: candidate[1][1],
    )
    position = {x.buffer: i for i, x in enumerate(lifetimes)}
    return MemoryPlan(
        allocations=tuple(sorted(front + placed, key=lambda a: position[a.lifetime.buffer])),
        arena_bytes=arena_bytes,
        persistent_bytes=persistent_bytes,
        lower_bound_bytes=bound,
        order=order,
    )


def find_lifetimes(program: Program) -> list[Lifetime]:
    """First and last use of every arena buffer, in order of first use."""
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}

    def touch(buffer: Buffer, step: int) -> None:
        if buffer.storage is Storage.ARENA:
            first.setdefault(buffer, step)
            last[buffer] = step

    for port in program.inputs:
        touch(port.buffer, BEFORE_FIRST_STEP)
    for index, step in enumerate(program.steps):
        written = {operand.buffer for operand in step.operands if operand.is_written}
        for operand in step.operands:
            buffer = operand.buffer
            is_new = buffer.storage is Storage.ARENA and buffer not in first
            if is_new and buffer not in written and not buffer.persistent:
                raise LoweringError(
                    f"step {step.name!r} reads {buffer.name!r}, which nothing has written"
                )
            touch(buffer, index)
    for port in program.outputs:
        buffer = port.buffer
        if buffer.storage is Storage.ARENA and buffer not in first:
            raise LoweringError(f"nothing writes output {port.name!r}")
        touch(buffer, len(program.steps))
    return [
        Lifetime(b, BEFORE_FIRST_STEP, len(program.steps), program.alignment)
        if b.persistent
        else Lifetime(b, first[b], last[b], program.alignment)
        for b in first
    ]


def _place(order: list[Lifetime], base: int, bound: int) -> tuple[list[Allocation], int]:
    """First fit, repeated with what stuck out placed earlier; the smallest arena seen."""
    best = _first_fit(order, base)
    placed, end = best
    for _ in range(_MAX_IMPROVEMENTS):
        if best[1] == bound:
            break
        top = [a.lifetime for a in placed if a.offset_bytes + a.lifetime.num_bytes == end]
        order = top + [x for x in order if x not in top]
        placed, end = _first_fit(order, base)
        if end < best[1]:
            best = placed, end
    return best


def _first_fit(order: Iterable[Lifetime], base: int) -> tuple[list[Allocation], int]:
    """Put each buffer at the lowest free offset not below ``base``; the size of the arena."""
    placed: list[Allocation] = []  # by offset
    end = base
    for lifetime in order:
        offset = base
        position = 0
        for index, other in enumerate(placed):
            if not lifetime.overlaps(other.lifetime):
                continue
            if other.offset_bytes >= offset + lifetime.num_bytes:
                break
            offset = max(offset, other.offset_bytes + other.lifetime.num_bytes)
            position = index + 1
        while position < len(placed) and placed[position].offset_bytes < offset:
            position += 1
        placed.insert(position, Allocation(lifetime, offset))
        end = max(end, offset + lifetime.num_bytes)
    return placed, end


def _max_live_bytes(lifetimes: list[Lifetime]) -> int:
    """Largest sum of sizes that are needed during one step."""
    changes = sorted(_changes(lifetimes))
    live = most = 0
    for _, change in changes:
        live += change
        most = max(most, live)
    return most


def _changes(lifetimes: list[Lifetime]) -> Iterator[tuple[int, int]]:
    # At equal times the negative change sorts first: a buffer that ended frees its bytes.
    for lifetime in lifetimes:
        yield lifetime.first_step, lifetime.num_bytes
        yield lifetime.last_step + 1, -lifetime.num_bytes
