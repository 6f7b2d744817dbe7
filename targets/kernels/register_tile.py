"""The innermost part of matrix products: a tile of outputs that stays in registers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa


@dataclass(frozen=True)
class RegisterTile:
    """``rows`` rows times ``vectors`` vectors of output columns.

    Attributes:
        isa: Instructions.
        rows: Rows of activations.
        vectors: Vectors of columns.
        acc: Local buffer (rows * vectors * lanes) of accumulators.
    """

    isa: Isa
    rows: int
    vectors: int
    acc: Any

    def start(self, row: int, column: int, value: Expr) -> None:
        """Set one vector of accumulators."""
        vector.store(self.acc, self._slot(row, column), value, self.isa.lanes)

    def step(
        self, source: Any, offsets: Sequence[Expr], weights: Any, weights_at: Expr
    ) -> None:
        """Add ``dot_k`` products to every accumulator.

        Args:
            source: Buffer of activations.
            offsets: First activation of each row.
            weights: Buffer of packed columns, [step][vector][lane][k].
            weights_at: First weight of this step.
        """
        isa = self.isa
        vector_weights = isa.lanes * isa.dot_k
        columns = [
            vector.bind(isa.load_weights(weights, weights_at + v * vector_weights))
            for v in range(self.vectors)
        ]
        for r, offset in enumerate(offsets):
            activations = vector.bind(isa.load_activations(source, offset))
            for v, column in enumerate(columns):
                slot = self._slot(r, v)
                total = isa.dot(vector.load(self.acc, slot, isa.lanes), activations, column)
                vector.store(self.acc, slot, total, isa.lanes)

    def row(self, row: int) -> list[Expr]:
        """Accumulators of one row."""
        return [
            vector.load(self.acc, self._slot(row, v), self.isa.lanes)
            for v in range(self.vectors)
        ]

    def fill(self, value: Expr) -> None:
        """Set all accumulators."""
        for slot in range(self.rows * self.vectors):
            vector.store(self.acc, slot * self.isa.lanes, value, self.isa.lanes)

    def add(self, other: "RegisterTile") -> None:
        """Add the accumulators of a tile of the same size."""
        lanes = self.isa.lanes
        for slot in range(self.rows * self.vectors):
            at = slot * lanes
            total = vector.load(self.acc, at, lanes) + vector.load(other.acc, at, lanes)
            vector.store(self.acc, at, total, lanes)

    def _slot(self, row: int, column: int) -> int:
        return (row * self.vectors + column) * self.isa.lanes


def register_tile(isa: Isa, rows: int, vectors: int) -> RegisterTile:
    """Allocate the accumulators of a tile."""
    acc = vector.local(rows * vectors * isa.lanes, isa.acc_dtype)
    return RegisterTile(isa, rows, vectors, acc)
