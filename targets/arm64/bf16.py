"""AArch64 with BFDOT: two products of bfloat16 numbers for each float32 sum.

TVM has no LLVM type for bfloat16. Kernels name BFDOT of half-precision numbers, which there is
none of; ``STAND_INS`` says what is meant (octavo.compiler.artifact.bfloat16_types).

Source: Arm Architecture Reference Manual for A-profile (DDI 0487), BFDOT (vector), BFCVTN.
"""

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.bfloat16_isa import Bfloat16Products
from octavo.targets.isa import Expr
from octavo.targets.ops.bfloat16_conv import TO_ODD

HALF_PRODUCTS = "llvm.aarch64.neon.bfdot"
HALF_NUMBERS = "llvm.arithmetic.fence"  # does nothing but show where numbers are rounded
LANES = 4
STAND_INS = {
    f"{HALF_PRODUCTS}.v4f32.v8f16": f"{HALF_PRODUCTS}.v4f32.v8bf16",
    f"{HALF_NUMBERS}.v8f16": f"{HALF_NUMBERS}.v8bf16",
}


class Bfdot(Bfloat16Products):
    """Cortex-A510, A710, X2, Neoverse V1 (2020) and later."""

    bfloat16_name = "arm64_bf16"
    bfloat16_latency = 5.0  # Cortex-A710 Software Optimization Guide: BFDOT, accumulating
    bfloat16_sums = TO_ODD

    def add_bfloat16(self, acc: Expr, a: Expr, b: Expr) -> Expr:
        """BFDOT."""
        halves = [T.reinterpret(f"float16x{2 * LANES}", x) for x in (a, b)]
        return vector.intrinsic("float32", LANES, HALF_PRODUCTS, acc, *halves)

    def round_bfloat16(self, low: Expr, high: Expr) -> Expr:
        """BFCVTN and BFCVTN2."""
        halves = [vector.cast(x, "float16", LANES) for x in (low, high)]
        joined = vector.concatenate(halves)
        rounded = vector.intrinsic("float16", 2 * LANES, HALF_NUMBERS, joined)
        return T.reinterpret(f"uint16x{2 * LANES}", rounded)
