"""AMX-INT8: products of 16x64-byte tiles, Sapphire Rapids (2023), Granite Rapids and later.

A process must ask Linux for the tiles before it uses them (the runtime does). Shapes and
contents belong to a thread: every task of a kernel sets the shapes, and releases the tiles at
its end, so that the system does not save 8 KiB for each later switch of threads.

Sources: Intel Architecture Instruction Set Extensions Programming Reference (319433), chapter
"Intel AMX Instruction Set Reference" (formats and faults); Intel 64 and IA-32 Architectures
Optimization Reference Manual (248966), chapter "Intel AMX" (cycles: a product 16, a load 8, a
store 16, setting shapes 204, releasing 13; 1,024 multiply-accumulates a cycle).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.tile_unit import Expr, TileShape, TileUnit
from octavo.targets.x86.avx512_bf16 import Avx512Bf16

PALETTE = 1  # the only one: 8 tiles of 1 KiB
SHAPES_BYTES = 64
ROW_BYTES_AT = 16  # byte offset of eight 16-bit sizes
ROWS_AT = 48  # byte offset of eight 8-bit sizes
PRODUCTS = {
    ("uint8", "int8"): "llvm.x86.tdpbusd",
    ("int8", "int8"): "llvm.x86.tdpbssd",
    ("uint8", "uint8"): "llvm.x86.tdpbuud",
    ("int8", "uint8"): "llvm.x86.tdpbsud",
}


@dataclass(frozen=True, kw_only=True)
class AmxTiles(TileUnit):
    """Palette 1 of AMX."""

    name: str = "amx"
    num_tiles: int = 8
    max_rows: int = 16
    max_row_bytes: int = 64
    dot_k: int = 4
    product_cycles: float = 16.0
    load_cycles: float = 8.0
    store_cycles: float = 16.0
    setup_cycles: float = 217.0

    def shapes(self, tiles: Mapping[int, TileShape]) -> NDArray[np.uint8]:
        """The operand of LDTILECFG."""
        encoded = np.zeros(SHAPES_BYTES, np.uint8)
        encoded[0] = PALETTE
        row_bytes = encoded[ROW_BYTES_AT : ROW_BYTES_AT + 2 * self.num_tiles].view("<u2")
        for tile, shape in tiles.items():
            row_bytes[tile] = shape.row_bytes
            encoded[ROWS_AT + tile] = shape.rows
        return encoded

    def configure(self, shapes: Any) -> None:
        """LDTILECFG."""
        _emit("llvm.x86.ldtilecfg", _address(shapes, 0))

    def release(self) -> None:
        """TILERELEASE."""
        _emit("llvm.x86.tilerelease")

    def zero(self, tile: int) -> None:
        """TILEZERO."""
        _emit("llvm.x86.tilezero", T.int8(tile))

    def load(self, tile: int, buffer: Any, offset: Expr, stride_bytes: Expr) -> None:
        """TILELOADD."""
        _move("llvm.x86.tileloadd64", tile, buffer, offset, stride_bytes)

    def store(self, tile: int, buffer: Any, offset: Expr, stride_bytes: Expr) -> None:
        """TILESTORED."""
        _move("llvm.x86.tilestored64", tile, buffer, offset, stride_bytes)

    def multiply(self, acc: int, a: int, b: int, a_dtype: str, b_dtype: str) -> None:
        """TDPBUSD and its three sisters."""
        _emit(PRODUCTS[a_dtype, b_dtype], T.int8(acc), T.int8(a), T.int8(b))


@dataclass(frozen=True, kw_only=True)
class AmxInt8(Avx512Bf16):
    """AVX-512 with VNNI, byte permutations and bfloat16, and the tiles beside them."""

    name: str = "amx_int8"
    tiles: TileUnit | None = AmxTiles()
    features: tuple[str, ...] = (*Avx512Bf16.features, "amx-tile", "amx-int8")


def _move(name: str, tile: int, buffer: Any, offset: Expr, stride_bytes: Expr) -> None:
    _emit(name, T.int8(tile), _address(buffer, offset), T.int64(stride_bytes))


def _address(buffer: Any, offset: Expr) -> Expr:
    return T.address_of(tirx.BufferLoad(buffer, [offset]))


def _emit(name: str, *arguments: Expr) -> None:
    """Emit a call with side effects, which stays where it is."""
    T.evaluate(T.call_llvm_intrin("void", T.llvm_lookup_intrinsic_id(name), *arguments))
