"""AVX-VNNI: 256-bit uint8 x int8 dot products, Alder Lake, Sierra Forest and Zen 5.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, VPDPBUSD (VEX).
"""

from dataclasses import dataclass
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.x86.saturating_pack import X86Isa


@dataclass(frozen=True, kw_only=True)
class AvxVnni(X86Isa):
    """AVX2 registers with VPDPBUSD."""

    name: str = "avx_vnni"
    lanes: int = 8
    dot_k: int = 4
    dot_cost: float = 1.0
    dots_registers: bool = True
    word_cost: float = 1.0
    features: tuple[str, ...] = ("avx2", "fma", "avxvnni")

    def load_activations(self, buffer: Any, offset: Expr) -> Expr:
        """Load four activations as one 32-bit word and repeat it (VPBROADCASTD)."""
        word = T.reinterpret("int32", vector.load(buffer, offset, 4))
        return vector.splat(word, self.lanes)

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load 32 weights, [8 lanes][4]."""
        return vector.load(buffer, offset, self.lanes * self.dot_k)

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """VPDPBUSD."""
        bytes_of = T.reinterpret(f"int8x{self.lanes * self.dot_k}", activations)
        return vector.intrinsic(
            "int32", self.lanes, "llvm.x86.avx512.vpdpbusd.256", acc, bytes_of, weights)

    def dot_words(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """VPDPWSSD."""
        name = "llvm.x86.avx512.vpdpwssd.256"
        return vector.intrinsic("int32", self.lanes, name, acc, activations, weights)
