"""Rows that the lanes of a work-group go through together, and sums over them.

Lane ``l`` of a row has the elements l, l + 16, l + 32, ..., so that neighbouring lanes read
neighbouring elements. Sums are added in the order of ``octavo.targets.ops.float_layer_norm``:
one partial sum for each lane, then halves to halves.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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

LANES = 16  # of a row; a work-group has some rows


class Row:
    """One row, as one of its lanes sees it.

    Attributes:
        number: Of the row. Lanes behind the last row compute what its lanes do, since all
            work items of a group must reach the same barriers.
    """

    def __init__(self, extent: int, number: Expr, exists: Expr | None, at: Expr, lane: Expr,
                 shared: Any) -> None:  # fmt: skip
        self.number = number
        self._extent = extent
        self._exists = exists
        self._at = at  # of the row's partial sums
        self._lane = lane
        self._shared = shared

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Only where the row exists."""
        if self._exists is None:
            yield
            return
        with when(self._exists):
            yield

    def each(self, body: Callable[[Expr], None]) -> None:
        """Call ``body`` with the place in the row of every element of this lane."""
        full, rest = divmod(self._extent, LANES)
        if full:
            with loop(full) as index:
                body(bind(index * LANES + self._lane))
        if rest:
            with when(self._lane < rest):
                body(bind(self._lane + full * LANES))

    def total(self, add: Callable[[Expr, Expr], Expr]) -> Expr:
        """Sum over the row.

        Args:
            add: Makes the next partial sum of the last one and the place of an element.
        """
        partial = local(1, "float32")
        T.buffer_store(partial, T.float32(0), [0])
        self.each(lambda place: T.buffer_store(
            partial, add(tirx.BufferLoad(partial, [0]), place), [0]))
        _wait()  # until all lanes have read the sums before
        T.buffer_store(self._shared, tirx.BufferLoad(partial, [0]), [self._at + self._lane])
        _wait()
        sums = [bind(tirx.BufferLoad(self._shared, [self._at + i])) for i in range(LANES)]
        while len(sums) > 1:
            half = len(sums) // 2
            sums = [bind(sums[i] + sums[i + half]) for i in range(half)]
        return sums[0]


def row_func(
    accelerator: Accelerator,
    parameters: Sequence[Parameter],
    shape: tuple[int, int],
    body: Callable[[dict[str, View], Row], None],
) -> tirx.PrimFunc:
    """Build a kernel; see ``grid.grid_func``.

    Args:
        accelerator: Says how large a work-group is.
        parameters: Name, number of elements and dtype of each tensor, in order.
        shape: Rows, and elements of each.
        body: Called with the tensors by name and a row; emits statements.
    """
    rows, extent = shape
    of_group = max(1, min(accelerator.work_group // LANES, 1 << (rows - 1).bit_length()))
    groups = -(-rows // of_group)

    def emit(views: dict[str, View]) -> None:
        with (
            T.launch_thread("blockIdx.y", groups) as group,
            T.launch_thread("threadIdx.y", of_group) as of_this,
            T.launch_thread("threadIdx.x", LANES) as lane,
        ):
            shared = T.alloc_buffer((of_group * LANES,), "float32", scope="shared")
            number, exists = bind(group * of_group + of_this), None
            if groups * of_group != rows:
                exists = number < rows
                number = bind(T.min(number, T.int32(rows - 1)))
            body(views, Row(extent, number, exists, bind(of_this * LANES), lane, shared))

    return view_func(parameters, emit)


def _wait() -> None:
    T.evaluate(T.tvm_storage_sync("shared"))
