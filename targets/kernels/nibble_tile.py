"""A tile of sums whose weights are packed: two of 4 bits in a byte.

A byte holds the weights of two steps. Either becomes 16 times itself, as a byte: the upper
half as it is, the lower one shifted up. Sums are 16 times those of the weights, exactly, and
are shifted down at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.register_tile import RegisterTile, register_tile

NIBBLE_BITS = 4
LOWEST, HIGHEST = -8, 7  # of a weight
MAX_ROWS = 4  # with more, weights are read for more products than reading them takes time
MAX_DEPTH = 1 << 16  # sums of 16 * 8 * 255 stay in 32 bits
# More weights than the first-level cache holds are waited for where a product takes a whole
# line of the second-level one at once. Smaller registers unpack longer than they would wait,
# until not even that cache holds the weights; where a product is several instructions, only
# memory is slower than those (benchmarks.nibbles).
LINE_BYTES = 64
FAR_BYTES, FARTHER_BYTES, MEMORY_BYTES = 32 * 1024, 1024 * 1024, 16 * 1024 * 1024


def far_bytes(isa: Isa) -> int:
    """Bytes of weights from which on reading half of them pays."""
    if isa.dot_cost > 1:
        return MEMORY_BYTES
    return FAR_BYTES if isa.lanes * isa.dot_k >= LINE_BYTES else FARTHER_BYTES


def reject_weights(weight: NDArray[Any], isa: Isa) -> str:
    """Why weights cannot be packed, or multiplied 16 times; or an empty string."""
    lowest, highest = int(weight.min()), int(weight.max())
    if lowest < LOWEST or highest > HIGHEST:
        return f"weights from {lowest} to {highest}; 4 bits hold {LOWEST} to {HIGHEST}"
    if isa.for_weights(lowest << NIBBLE_BITS) != isa:
        return f"{isa.name} does not multiply {lowest << NIBBLE_BITS} exactly"
    return ""


def join_halves(low: NDArray[np.int8], high: NDArray[np.int8]) -> NDArray[np.int8]:
    """Pack two arrays of weights of 4 bits in one."""
    mask = (1 << NIBBLE_BITS) - 1
    return ((low & mask) | (high << NIBBLE_BITS)).astype(np.int8)


@dataclass(frozen=True)
class NibbleTile(RegisterTile):
    """Sums of products with 16 times the weights."""

    _values: dict[tuple[int, int], Expr] = field(default_factory=dict)

    def start(self, row: int, column: int, value: Expr) -> None:
        """Set one vector of sums: of the weights, not of 16 times them."""
        self._values[row, column] = value
        super().start(row, column, vector.splat(T.int32(0), self.isa.lanes))

    def step_pair(
        self, source: Any, offsets: Sequence[Expr], weights: Any, at: Expr, steps: int = 2
    ) -> None:
        """Add the products of two steps, or of the first of them.

        Args:
            source: Buffer of activations.
            offsets: First activation of each row.
            weights: Buffer of packed pairs, [vector][lane][k].
            at: The first of them.
            steps: 1 or 2.
        """
        isa = self.isa
        width = isa.lanes * isa.dot_k
        rows = [self._pair(source, offsets, block, steps) for block in self._blocks]
        up = vector.splat(T.int8(NIBBLE_BITS), width)
        mask = vector.splat(T.int8(-(1 << NIBBLE_BITS)), width)
        for v in range(self.vectors):
            packed = vector.bind(vector.load(weights, at + v * width, width))
            halves = [T.shift_left(packed, up), T.bitwise_and(packed, mask)]
            # Instructions load what they multiply; this memory is registers.
            held = vector.local(steps * width, "int8")
            for step in range(steps):
                vector.store(held, step * width, halves[step], width)
                columns = isa.load_columns(held, step * width)
                for block, first in enumerate(self._blocks):
                    self._dot(first, v, rows[block][step], columns)

    def _pair(
        self, source: Any, offsets: Sequence[Expr], first: int, steps: int
    ) -> list[Sequence[Expr]]:
        """Activations of a block of rows, for each step."""
        if self.isa.group_steps >= steps:
            return self._load(source, offsets, first, steps)
        found: list[Sequence[Expr]] = []
        for step in range(steps):
            moved = [offset + step * self.isa.dot_k for offset in offsets]
            found += self._load(source, moved, first, 1)
        return found

    def row(self, row: int) -> list[Expr]:
        """Sums of one row."""
        down = vector.splat(T.int32(NIBBLE_BITS), self.isa.lanes)
        return [
            vector.bind(T.shift_right(vector.bind(total), down) + self._values[row, v])
            for v, total in enumerate(super().row(row))
        ]


def nibble_tile(isa: Isa, rows: int, vectors: int) -> NibbleTile:
    """Allocate the accumulators of a tile."""
    return NibbleTile(isa, rows, vectors, register_tile(isa, rows, vectors).acc)
