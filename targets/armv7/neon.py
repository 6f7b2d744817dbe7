"""NEON of 32-bit Arm: VMULL and VMLAL of bytes, VPADAL into 32 bits.

Eight activations of a row are multiplied by two weights of each of four columns (VMULL.S8),
and again by the next two when they are rotated by one pair (VEXT): column c meets pair c of
the row first, then pair c + 1, and its weights lie in that order. Two such products are added
in 16 bits (VMLAL.S8, see ``octavo.targets.half_sum``); VPADAL adds the two sums of each
column to its 32 bits. VLD4.16 sorts weights, [column][pair] in memory, into registers of four
columns.

Source: Arm Architecture Reference Manual, Armv7-A and Armv7-R edition (DDI 0406), A8.8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import half_sum, vector
from octavo.targets.armv7.saturating_narrow import HALF_BYTES, LANES, Armv7Isa
from octavo.targets.isa import Expr, Isa

PAIRS = 4  # of activations that one step multiplies
PASSING_REGISTERS = 2  # of a row
COLUMN_REGISTERS = 3  # two of weights, one of products under way
LOWEST_WEIGHT = -127  # of those that sums of two products in 16 bits are exact for


@dataclass(frozen=True, kw_only=True)
class Neon(Armv7Isa):
    """Sums of 8 products for each of four columns in six instructions."""

    name: str = "armv7_neon"
    dot_k: int = 2 * PAIRS
    dot_cost: float = 6.0
    activation_cycles: float = 0.0
    activation_loads: float = 4.0
    weight_loads: float = 3.0  # with addresses and the loop
    max_unrolled_dots: int = 0  # else LLVM moves loads of weights out of the loop over rows
    orders_columns: bool = True

    @property
    def by_lane(self) -> Isa:
        """VMULL, VMLAL and VADDW."""
        return NeonLanes(adds_even=self.adds_even)

    def for_weights(self, lowest: int) -> Isa:
        """Widen every product where the sum of two may be 2 * 128 * 128."""
        return self if lowest >= LOWEST_WEIGHT else WideNeon(adds_even=self.adds_even)

    def load_block(
        self, buffer: Any, offsets: Sequence[Expr], steps: int
    ) -> list[Sequence[Expr]]:
        """Load 8 activations of one row; rotate their pairs (VEXT)."""
        (offset,) = offsets
        blocks: list[Sequence[Expr]] = []
        for step in range(steps):
            row = vector.bind(vector.load(buffer, offset + step * self.dot_k, self.dot_k))
            bytes_of = [
                [(2 * turn + byte) % HALF_BYTES for byte in range(HALF_BYTES)]
                for turn in range(1, PAIRS)]
            blocks.append([row, *(vector.take(row, turned) for turned in bytes_of)])
        return blocks

    def order_columns(self, weights: NDArray[Any]) -> NDArray[Any]:
        """Rotate the pairs of column c by c, as activations are rotated by 0 to 3."""
        pairs = weights.reshape(-1, self.lanes, PAIRS, 2)
        columns = [np.roll(pairs[:, c], -c, axis=1) for c in range(self.lanes)]
        return np.stack(columns, axis=1).reshape(-1)

    def load_columns(self, buffer: Any, offset: Expr) -> Sequence[Expr]:
        """Load 8 weights of each of four columns: one register for each pair (VLD4.16)."""
        elements = int(buffer.shape[0]) // 2
        view = T.decl_buffer(
            (elements,), "int16", data=buffer.data, elem_offset=buffer.elem_offset // 2)
        whole = vector.bind(vector.load(view, offset // 2, self.lanes * PAIRS))
        return [
            vector.bind(T.reinterpret(
                f"int8x{HALF_BYTES}",
                vector.take(whole, range(pair, self.lanes * PAIRS, PAIRS))))
            for pair in range(PAIRS)]

    def dot_block(
        self, accs: Sequence[Expr], activations: Sequence[Expr], columns: Sequence[Expr]
    ) -> list[Expr]:
        """VMULL, VMLAL and VPADAL, twice."""
        products = [_products(a, b) for a, b in zip(activations, columns, strict=True)]
        sums = [a + b for a, b in zip(products[::2], products[1::2], strict=True)]
        return [_add_neighbours(accs[0], sums)]

    def tile_registers(self, rows: int, panel: int) -> int:
        """Sums, weights and products of each vector of columns, and what passes by."""
        return (rows + COLUMN_REGISTERS) * panel + PASSING_REGISTERS


@dataclass(frozen=True, kw_only=True)
class WideNeon(Neon):
    """Weights of -128, and products of activations: VPADAL adds every product to 32 bits.

    Columns are in order, since products of activations are packed as they come. A register
    has the same pair of activations four times.
    """

    dot_cost: float = 8.0
    activation_loads: float = 5.0
    orders_columns: bool = False

    @property
    def by_lane(self) -> Isa:
        """VMULL and VADDW."""
        return NeonLanes(pairs=False, adds_even=self.adds_even)

    def for_weights(self, lowest: int) -> Isa:
        """All of them."""
        del lowest
        return self

    def load_block(
        self, buffer: Any, offsets: Sequence[Expr], steps: int
    ) -> list[Sequence[Expr]]:
        """Load 8 activations of one row; repeat each pair (VDUP.16)."""
        (offset,) = offsets
        blocks: list[Sequence[Expr]] = []
        for step in range(steps):
            row = vector.load(buffer, offset + step * self.dot_k, self.dot_k)
            pairs = vector.bind(T.reinterpret(f"int16x{PAIRS}", row))
            blocks.append([
                T.reinterpret(f"int8x{HALF_BYTES}", vector.take(pairs, (pair,) * self.lanes))
                for pair in range(PAIRS)])
        return blocks

    def dot_block(
        self, accs: Sequence[Expr], activations: Sequence[Expr], columns: Sequence[Expr]
    ) -> list[Expr]:
        """VMULL and VPADAL, four times."""
        products = [_products(a, b) for a, b in zip(activations, columns, strict=True)]
        return [_add_neighbours(accs[0], products)]


@dataclass(frozen=True, kw_only=True)
class NeonLanes(Armv7Isa):
    """Half a register of bytes, multiplied lane by lane: sums take two registers.

    Every other product is added to the one before in 16 bits, and both to the sum at once.

    Attributes:
        pairs: As said; else every product is added to the sum.
    """

    name: str = "armv7_neon"
    lanes: int = HALF_BYTES
    num_registers: int = 7  # of 8 lanes: two columns, their products, operands and constants
    joined_vectors: int = 1
    pairs: bool = True

    def repeat_word(self, word: Expr) -> Expr:
        """Repeat a byte (VDUP.8)."""
        return vector.splat(vector.cast(word, "int8", 1), self.lanes)

    def widen_tap(self, value: Expr) -> Expr:
        """Multiply bytes as they are."""
        return value

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load 8 weights."""
        return vector.load(buffer, offset, self.lanes)

    def add_taps(self, total: Any, taps: Expr, weights: Expr) -> Any:
        """VMULL, or VMLAL and VADDW."""
        return half_sum.add_products(total, (_products(taps, weights),), pairs=self.pairs)

    def settle(self, total: Any) -> Expr:
        """VADDW."""
        return half_sum.settle(total)


def _products(a: Expr, b: Expr) -> Expr:
    """VMULL.S8: eight products in 16 bits."""
    return vector.intrinsic("int16", HALF_BYTES, "llvm.arm.neon.vmulls", a, b)


def _add_neighbours(total: Expr, products: Sequence[Expr]) -> Expr:
    """VPADAL.S16: neighbouring lanes of each vector, added to a lane of 32 bits."""
    for product in products:
        total = vector.intrinsic("int32", LANES, "llvm.arm.neon.vpadals", total, product)
    return total
