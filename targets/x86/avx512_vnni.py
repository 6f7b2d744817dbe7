"""AVX-512 with VNNI: 512-bit uint8 x int8 dot products.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, VPDPBUSD,
VCVTPS2DQ and VPERMI2B. The first operand of VPDPBUSD is unsigned, the second signed, and the
32-bit sums do not saturate.
"""

from dataclasses import dataclass
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa


@dataclass(frozen=True, kw_only=True)
class Avx512Vnni(Isa):
    """Ice Lake, Sapphire Rapids, Zen 4 and later."""

    name: str = "avx512_vnni"
    lanes: int = 16
    num_registers: int = 32
    dot_k: int = 4
    features: tuple[str, ...] = ("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni")

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
