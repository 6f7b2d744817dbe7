"""A matrix unit: registers that hold tiles of bytes, and products of whole tiles.

Kernels ask an instruction variant for its unit (``Isa.tiles``) and write products of tiles;
the unit supplies the instructions, the sizes and what they cost.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Expr = Any  # a TIR expression


@dataclass(frozen=True)
class TileShape:
    """Size of one tile register.

    Attributes:
        rows: Rows, at least 1.
        row_bytes: Bytes of a row, a multiple of 4.
    """

    rows: int
    row_bytes: int


@dataclass(frozen=True, kw_only=True)
class TileUnit(ABC):
    """The tile registers of one core, with the cycles that its instructions take.

    Attributes:
        name: Shown in the kernel's variant.
        num_tiles: Registers.
        max_rows: Rows of a register.
        max_row_bytes: Bytes of a row.
        dot_k: Consecutive 8-bit products that are added into each 32-bit element.
        product_cycles: Cycles between two products of tiles.
        load_cycles: Cycles between two loads of a tile from the first-level cache.
        store_cycles: The same of stores.
        setup_cycles: Setting the shapes, and releasing the registers at the end.
    """

    name: str
    num_tiles: int
    max_rows: int
    max_row_bytes: int
    dot_k: int
    product_cycles: float
    load_cycles: float
    store_cycles: float
    setup_cycles: float

    @property
    def lanes(self) -> int:
        """32-bit elements of a row."""
        return self.max_row_bytes // 4

    @property
    def max_steps(self) -> int:
        """Steps of ``dot_k`` along the reduction in one product of tiles."""
        return min(self.max_rows, self.max_row_bytes // self.dot_k)

    @abstractmethod
    def shapes(self, tiles: Mapping[int, TileShape]) -> NDArray[np.uint8]:
        """Encode the sizes of registers as ``configure`` reads them.

        Args:
            tiles: Sizes, by register.
        """

    @abstractmethod
    def configure(self, shapes: Any) -> None:
        """Emit: set the shapes in the calling thread, from a buffer of ``shapes``."""

    @abstractmethod
    def release(self) -> None:
        """Emit: give the registers back, in the calling thread."""

    @abstractmethod
    def zero(self, tile: int) -> None:
        """Emit: set a register to zero."""

    @abstractmethod
    def load(self, tile: int, buffer: Any, offset: Expr, stride_bytes: Expr) -> None:
        """Emit: load a register, row by row.

        Args:
            tile: Register.
            buffer: Source.
            offset: First element.
            stride_bytes: Bytes from one row to the next; 0 repeats the first row.
        """

    @abstractmethod
    def store(self, tile: int, buffer: Any, offset: Expr, stride_bytes: Expr) -> None:
        """Emit: store a register, row by row; as ``load``."""

    @abstractmethod
    def multiply(self, acc: int, a: int, b: int, a_dtype: str, b_dtype: str) -> None:
        """Emit: add the product of tiles ``a`` and ``b`` to the int32 tile ``acc``.

        Args:
            acc: Register of sums, (rows of a, columns of b).
            a: Register of rows.
            b: Register of columns, [step][column][k].
            a_dtype: "uint8" or "int8".
            b_dtype: The same.
        """
