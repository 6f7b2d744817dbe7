"""The innermost part of matrix products: a tile of outputs that stays in registers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa


@dataclass(frozen=True)
class RegisterTile:
    """``rows`` rows times ``vectors`` vectors of output columns.

    Attributes:
        isa: Instructions.
        rows: Rows of activations.
        vectors: Vectors of columns.
        acc: Local buffer of accumulators: [block of rows][vector][``Isa.block_registers``].
    """

    isa: Isa
    rows: int
    vectors: int
    acc: Any
    _starts: dict[tuple[int, int], Expr] = field(default_factory=dict)

    def start(self, row: int, column: int, value: Expr) -> None:
        """Set one vector of sums; a block of rows is set once all of its rows are known."""
        self._starts[row, column] = value
        rows = self._block(row // self.isa.block_rows)
        if all((r, column) in self._starts for r in rows):
            values = [self._starts[r, column] for r in rows]
            if self.isa.starts_at_end:
                values = [vector.splat(T.int32(0), self.isa.lanes)] * len(values)
            self._put(row, column, self.isa.start_block(values))

    def step(
        self, source: Any, offsets: Sequence[Expr], weights: Any, weights_at: Expr,
        steps: int = 1, stride: Expr | None = None,
    ) -> None:
        """Add ``dot_k`` products to every sum, in each of some consecutive steps.

        Args:
            source: Buffer of activations.
            offsets: First activation of each row.
            weights: Buffer of packed columns, [step][vector][lane][k].
            weights_at: First weight of the first step.
            steps: At most ``Isa.group_steps``.
            stride: Weights from step to step; None for those of whole vectors.
        """
        isa = self.isa
        width = isa.lanes * isa.dot_k
        stride = self.vectors * width if stride is None else stride
        places = [
            [weights_at + step * stride + v * width for v in range(self.vectors)]
            for step in range(steps)]
        if isa.rows_stay:
            rows = [self._load(source, offsets, block, steps) for block in self._blocks]
            for step, step_places in enumerate(places):
                for v, at in enumerate(step_places):
                    column = isa.load_columns(weights, at)
                    for block, first in enumerate(self._blocks):
                        self._dot(first, v, rows[block][step], column)
            return
        for step, step_places in enumerate(places):
            columns = [isa.load_columns(weights, at) for at in step_places]
            for first in self._blocks:
                moved = [offset + step * isa.dot_k if step else offset for offset in offsets]
                (activations,) = self._load(source, moved, first, 1)
                for v, column in enumerate(columns):
                    self._dot(first, v, activations, column)

    def run(
        self, source: Any, offsets: Sequence[Expr], weights: Any, weights_at: Expr, steps: int
    ) -> None:
        """Add all steps of a reduction that is contiguous in memory; see ``step``."""
        isa = self.isa

        def group(first: Expr, count: int) -> None:
            at = weights_at + first * (self.vectors * isa.lanes * isa.dot_k)
            moved = [offset + first * isa.dot_k for offset in offsets]
            self.step(source, moved, weights, at, count)

        for_steps(isa, steps, group, is_first=True)

    def row(self, row: int) -> list[Expr]:
        """Sums of one row."""
        place = row % self.isa.block_rows
        sums = [self.isa.end_block(self._sums(row, v))[place] for v in range(self.vectors)]
        if not self.isa.starts_at_end:
            return sums
        return [total + self._starts[row, v] for v, total in enumerate(sums)]

    def block(self, first: int) -> list[list[Expr]]:
        """Accumulators of the block of rows that begins at row ``first``, by vector."""
        return [self._sums(first, v) for v in range(self.vectors)]

    def fill(self, value: Expr) -> None:
        """Set all sums."""
        for row in range(self.rows):
            for v in range(self.vectors):
                self.start(row, v, value)

    def add(self, other: "RegisterTile") -> None:
        """Add the sums of a tile of the same size."""
        for first in self._blocks:
            for v in range(self.vectors):
                pairs = zip(self._sums(first, v), other._sums(first, v), strict=True)
                self._put(first, v, [a + b for a, b in pairs])

    @property
    def _blocks(self) -> range:
        """First row of every block of rows."""
        return range(0, self.rows, self.isa.block_rows)

    def _block(self, index: int) -> list[int]:
        """Rows of a block; behind the last one it is repeated."""
        first = index * self.isa.block_rows
        return [min(first + r, self.rows - 1) for r in range(self.isa.block_rows)]

    def _load(
        self, source: Any, offsets: Sequence[Expr], first: int, steps: int
    ) -> list[Sequence[Expr]]:
        rows = self._block(first // self.isa.block_rows)
        return self.isa.load_block(source, [offsets[r] for r in rows], steps)

    def _dot(
        self, row: int, column: int, activations: Sequence[Expr], weights: Sequence[Expr]
    ) -> None:
        sums = self._sums(row, column)
        self._put(row, column, self.isa.dot_block(sums, activations, weights))

    def _slot(self, row: int, column: int) -> int:
        block = row // self.isa.block_rows
        return (block * self.vectors + column) * self.isa.block_registers * self.isa.lanes

    def _sums(self, row: int, column: int) -> list[Expr]:
        slot, lanes = self._slot(row, column), self.isa.lanes
        return [
            vector.load(self.acc, slot + i * lanes, lanes)
            for i in range(self.isa.block_registers)]

    def _put(self, row: int, column: int, values: Sequence[Expr]) -> None:
        slot, lanes = self._slot(row, column), self.isa.lanes
        for i, value in enumerate(values):
            vector.store(self.acc, slot + i * lanes, value, lanes)


def register_tile(isa: Isa, rows: int, vectors: int) -> RegisterTile:
    """Allocate the accumulators of a tile."""
    blocks = -(-rows // isa.block_rows)
    acc = vector.local(blocks * vectors * isa.block_registers * isa.lanes, isa.acc_dtype)
    return RegisterTile(isa, rows, vectors, acc)


def for_steps(
    isa: Isa, steps: int, emit: Callable[[Expr, int], None], *, is_first: bool
) -> None:
    """Call ``emit(first, count)`` for groups of steps, in a loop where there are several.

    Args:
        isa: Instructions.
        steps: Steps of the reduction.
        emit: Emits a group.
        is_first: Nothing was added to the sums before.
    """
    full, rest = divmod(steps, isa.group_steps)
    ahead = int(is_first and isa.starts_at_end and full > 1)
    if ahead:
        emit(0, isa.group_steps)
    if full > ahead:
        with vector.loop(full - ahead) as group:
            emit((group + ahead if ahead else group) * isa.group_steps, isa.group_steps)
    if rest:
        emit(full * isa.group_steps, rest)
