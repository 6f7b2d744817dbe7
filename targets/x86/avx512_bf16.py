"""AVX-512 with BF16: two products of bfloat16 numbers for each float32 sum.

Twice the products of VFMADD231PS at the same rate (Zen 5: two a cycle), and half of those of
VPDPBUSD.

TVM has no LLVM type for bfloat16, which VDPBF16PS takes. Kernels name VDPPHPS instead, the
same operation on numbers of the type "half"; ``STAND_INS`` says which intrinsic is meant, and
the compiler puts it there (octavo.compiler.artifact.bfloat16_types).

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, VDPBF16PS and
VCVTNE2PS2BF16; latency measured on Zen 5.
"""

from dataclasses import dataclass

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.bfloat16_isa import Bfloat16Products
from octavo.targets.isa import Expr
from octavo.targets.x86.avx512_vnni import Avx512Vbmi

HALF_PRODUCTS = "llvm.x86.avx10.vdpphps.512"
# By the name that kernels use; every "half" of such a function is a bfloat16.
STAND_INS = {HALF_PRODUCTS: "llvm.x86.avx512bf16.dpbf16ps.512"}


@dataclass(frozen=True, kw_only=True)
class Avx512Bf16(Avx512Vbmi, Bfloat16Products):
    """Sapphire Rapids, Zen 4 and later; integers are those of ``Avx512Vbmi``."""

    bfloat16_name: str = "avx512_bf16"
    bfloat16_latency: float = 6.0
    features: tuple[str, ...] = (*Avx512Vbmi.features, "avx512bf16")

    def add_bfloat16(self, acc: Expr, a: Expr, b: Expr) -> Expr:
        """VDPBF16PS."""
        halves = [T.reinterpret(f"float16x{2 * self.lanes}", x) for x in (a, b)]
        return vector.intrinsic("float32", self.lanes, HALF_PRODUCTS, acc, *halves)

    def round_bfloat16(self, low: Expr, high: Expr) -> Expr:
        """VCVTNE2PS2BF16, whose first operand becomes the upper half."""
        lanes = 2 * self.lanes
        name = "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
        # LLVM knows the type of the result, whatever TVM takes it for.
        return T.reinterpret(
            f"uint16x{lanes}", vector.intrinsic("float16", lanes, name, high, low))
