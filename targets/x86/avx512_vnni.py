"""AVX-512 with VNNI: 512-bit uint8 x int8 dot products.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, VPDPBUSD,
VCVTPS2DQ and VPERMI2B. The first operand of VPDPBUSD is unsigned, the second signed, and the
32-bit sums do not saturate.
"""

from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.x86.saturating_pack import X86Isa

TABLE_REGISTER_BYTES = 64


@dataclass(frozen=True, kw_only=True)
class Avx512Vnni(X86Isa):
    """Ice Lake, Sapphire Rapids, Zen 4 and later."""

    name: str = "avx512_vnni"
    lanes: int = 16
    num_registers: int = 32
    dot_k: int = 4
    dot_cost: float = 1.0
    dots_registers: bool = True
    word_cost: float = 1.0
    features: tuple[str, ...] = ("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni")

    def load_activations(self, buffer: Any, offset: Expr) -> Expr:
        """Load four activations as one 32-bit word and repeat it (VPBROADCASTD)."""
        word = T.reinterpret("int32", vector.load(buffer, offset, 4))
        return vector.splat(word, self.lanes)

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load 64 weights, [16 lanes][4]."""
        return vector.load(buffer, offset, self.lanes * self.dot_k)

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """VPDPBUSD."""
        return vector.intrinsic(
            "int32",
            self.lanes,
            "llvm.x86.avx512.vpdpbusd.512",
            acc,
            T.reinterpret("int8x64", activations),
            weights,
        )

    def dot_words(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """VPDPWSSD."""
        name = "llvm.x86.avx512.vpdpwssd.512"
        return vector.intrinsic("int32", self.lanes, name, acc, activations, weights)

    def lookup_words(self, table: Any, first: int, index: Expr) -> Expr:
        """VPERMI2D: two registers hold the table."""
        halves = [
            vector.bind(vector.load(table, first + half * self.lanes, self.lanes))
            for half in range(2)
        ]
        return vector.intrinsic(
            "int32", self.lanes, "llvm.x86.avx512.vpermi2var.d.512",
            halves[0], index, halves[1])


@dataclass(frozen=True, kw_only=True)
class Avx512Vbmi(Avx512Vnni):
    """Ice Lake and Zen 4 and later: also permutes bytes, so tables need no scalar code."""

    name: str = "avx512_vbmi"
    features: tuple[str, ...] = (*Avx512Vnni.features, "avx512vbmi")

    def lookup(self, table: Any, index: Expr, dtype: str, lanes: int) -> Expr | None:
        """VPERMI2B on each half of the table; bit 7 of the index picks the half."""
        if lanes > TABLE_REGISTER_BYTES:
            return None
        wide = TABLE_REGISTER_BYTES
        if lanes < wide:
            index = vector.take(index, [lane % lanes for lane in range(wide)])
        index = vector.bind(index)
        quarters = [vector.load(table, quarter * wide, wide) for quarter in range(4)]
        low, high = (
            vector.intrinsic(
                dtype, wide, "llvm.x86.avx512.vpermi2var.qi.512",
                quarters[half], index, quarters[half + 1])
            for half in (0, 2)
        )
        is_low = T.reinterpret(f"int8x{wide}", index) >= vector.splat(T.int8(0), wide)
        return vector.take_first(tirx.Select(is_low, low, high), lanes)
