"""Dot products without VNNI: PMADDWD on 16-bit pairs, which is exact.

PMADDUBSW multiplies bytes directly, but saturates the sum of two products at 32,767, and
2 * 255 * 127 is 64,770: results would depend on the data, so it is never used.

Four bytes of every 32-bit lane are widened without crossing lanes: the even bytes by a mask
or a pair of shifts, the odd ones by one shift.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, PMADDWD.
"""

from dataclasses import dataclass
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.x86.saturating_pack import X86Isa

MULTIPLY_ADD = {4: "llvm.x86.sse2.pmadd.wd", 8: "llvm.x86.avx2.pmadd.wd"}
EVEN_BYTES = 0x00FF  # of a 16-bit lane
BYTE_BITS = 8


@dataclass(frozen=True, kw_only=True)
class PairIsa(X86Isa):
    """uint8 x int8 in registers of 4 or 8 lanes, four products a lane in two steps."""

    dot_k: int = 4
    dot_cost: float = 2.0
    word_cost: float = 1.0
    activation_cycles: float = 0.6
    weight_cycles: float = 0.8

    def load_activations(self, buffer: Any, offset: Expr) -> Expr:
        """Load four activations as one 32-bit word and repeat it."""
        word = T.reinterpret("int32", vector.load(buffer, offset, 4))
        return vector.splat(word, self.lanes)

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load four weights of every lane."""
        return vector.load(buffer, offset, self.lanes * self.dot_k)

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """PMADDWD of the even bytes and of the odd bytes; LLVM shares the widening."""
        words = 2 * self.lanes
        shift = vector.splat(T.int16(BYTE_BITS), words)
        signed = T.reinterpret(f"int16x{words}", weights)
        unsigned = T.reinterpret(f"uint16x{words}", activations)
        even_weights = T.shift_right(T.shift_left(signed, shift), shift)
        odd_weights = T.shift_right(signed, shift)
        even = T.bitwise_and(unsigned, vector.splat(T.uint16(EVEN_BYTES), words))
        odd = T.shift_right(unsigned, vector.splat(T.uint16(BYTE_BITS), words))
        for pixels, taps in ((even, even_weights), (odd, odd_weights)):
            acc = acc + vector.intrinsic(
                "int32", self.lanes, MULTIPLY_ADD[self.lanes],
                T.reinterpret(f"int16x{words}", pixels), taps)
        return acc

    def dot_words(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """PMADDWD; its sum of two products overflows only for four factors of -32768."""
        products = vector.intrinsic(
            "int32", self.lanes, MULTIPLY_ADD[self.lanes], activations, weights)
        return vector.wrapping("add", acc, products)
