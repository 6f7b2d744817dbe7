"""Rows that the lanes of a work-group go through together, and sums over them.

Lane ``l`` of a row has the elements l, l + 16, l + 32, ..., so that neighbouring lanes read
neighbouring elements. Sums are those of ``octavo.targets.ops.float_sum``: each lane has a
part.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.grid import (
    Expr,
    Parameter,
    View,
    bind,
    local,
    loop,
    view_func,
    when,
)
from octavo.targets.ops.float_sum import SUM_LANES

LANES = SUM_LANES  # of a row; a work-group has some rows


@dataclass(frozen=True, eq=False)
class RowMemory:
    """Memory that the lanes of a row share."""

    buffer: Any
    at: Expr

    def load(self, index: Expr) -> Expr:
        """One element."""
        return tirx.BufferLoad(self.buffer, [self.at + index])

    def store(self, index: Expr, value: Expr) -> None:
        """Store one element; other lanes see it behind the next ``Row.total``."""
        T.buffer_store(self.buffer, value, [self.at + index])


class Row:
    """One row, as one of its lanes sees it.

    Attributes:
        number: Of the row. Lanes behind the last row compute what its lanes do, since all
            work items of a group must reach the same barriers.
        lane: Number of the lane.
    """

    def __init__(
        self, number: Expr, lane: Expr, exists: Expr | None, of_this: Expr, of_group: int
    ) -> None:
        self.number = number
        self.lane = lane
        self._exists = exists
        self._of_this = of_this
        self._of_group = of_group
        self._parts: dict[str, RowMemory] = {}

    def memory(self, count: int, dtype: str) -> RowMemory:
        """Reserve ``count`` elements for each row."""
        buffer = T.alloc_buffer((self._of_group * count,), dtype, scope="shared")
        return RowMemory(buffer, bind(self._of_this * count))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Only where the row exists."""
        if self._exists is None:
            yield
            return
        with when(self._exists):
            yield

    def each(self, extent: int, body: Callable[[Expr], None]) -> None:
        """Call ``body`` with the numbers below ``extent`` that are this lane's."""
        full, rest = divmod(extent, LANES)
        if full:
            with loop(full) as index:
                body(bind(index * LANES + self.lane))
        if rest:
            with when(self.lane < rest):
                body(bind(self.lane + full * LANES))

    def reduce(
        self, extent: int, start: Expr, add: Callable[[Expr, Expr], Expr]
    ) -> Expr:
        """What a lane makes of its numbers below ``extent``, one after the other.

        Args:
            extent: As said.
            start: What it begins with.
            add: Makes the next result of the last one and a number.
        """
        partial = local(1, start.ty.dtype)
        T.buffer_store(partial, start, [0])
        self.each(extent, lambda place: T.buffer_store(
            partial, add(tirx.BufferLoad(partial, [0]), place), [0]))
        return bind(tirx.BufferLoad(partial, [0]))

    def total(
        self, part: Expr, join: Callable[[Expr, Expr], Expr] = lambda a, b: a + b
    ) -> Expr:
        """Join the parts of all lanes, halves with halves; a barrier."""
        dtype = str(part.ty.dtype)
        if dtype not in self._parts:
            self._parts[dtype] = self.memory(LANES, dtype)
        shared = self._parts[dtype]
        _wait()  # until all lanes have read what was there
        shared.store(self.lane, part)
        _wait()
        parts = [bind(shared.load(T.int32(i))) for i in range(LANES)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [bind(join(parts[i], parts[i + half])) for i in range(half)]
        return parts[0]


def row_func(
    accelerator: Accelerator,
    parameters: Sequence[Parameter],
    rows: int,
    body: Callable[[dict[str, View], Row], None],
    row_bytes: int = 0,
) -> tirx.PrimFunc:
    """Build a kernel; see ``grid.grid_func``.

    Args:
        accelerator: Says how large a work-group is.
        parameters: Name, number of elements and dtype of each tensor, in order.
        rows: How many there are.
        body: Called with the tensors by name and a row; emits statements.
        row_bytes: Memory that a row reserves, beside that of ``Row.total``.
    """
    of_group = rows_of_group(accelerator, rows, row_bytes)
    groups = -(-rows // of_group)

    def emit(views: dict[str, View]) -> None:
        with (
            T.launch_thread("blockIdx.x", groups) as group,
            T.launch_thread("threadIdx.y", of_group) as of_this,
            T.launch_thread("threadIdx.x", LANES) as lane,
        ):
            number, exists = bind(group * of_group + of_this), None
            if groups * of_group != rows:
                exists = number < rows
                number = bind(T.min(number, T.int32(rows - 1)))
            body(views, Row(number, lane, exists, of_this, of_group))

    return view_func(parameters, emit)


def rows_of_group(accelerator: Accelerator, rows: int, row_bytes: int) -> int:
    """Rows of a work-group, a power of 2; 0 where not even one has its memory."""
    most = accelerator.local_bytes // (row_bytes + 2 * 4 * LANES)  # totals of two types
    items = min(accelerator.work_group // LANES, 1 << (rows - 1).bit_length())
    return min(max(1, items), (1 << most.bit_length()) >> 1)


def _wait() -> None:
    T.evaluate(T.tvm_storage_sync("shared"))
