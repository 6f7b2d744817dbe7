"""Rounding and narrowing on x86: float32 or int32 vectors to one vector of saturated bytes.

CVTPS2DQ rounds half to even and gives the lowest integer for anything below the int32 range,
so a value only needs an upper limit before it. PACKSSDW and PACKUSWB or PACKSSWB then saturate
within each 128-bit block, and one permutation puts the blocks in order.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa

BLOCK_BYTES = 16  # of a 128-bit block
CURRENT_ROUNDING = 4  # _MM_FROUND_CUR_DIRECTION; the mode is half to even

# By 32-bit lanes of the register.
CONVERT = {
    4: "llvm.x86.sse2.cvtps2dq",
    8: "llvm.x86.avx.cvt.ps2dq.256",
    16: "llvm.x86.avx512.mask.cvtps2dq.512",
}
PACK_WORDS = {
    4: "llvm.x86.sse2.packssdw.128",
    8: "llvm.x86.avx2.packssdw",
    16: "llvm.x86.avx512.packssdw.512",
}
PACK_UNSIGNED_WORDS = {
    4: "llvm.x86.sse41.packusdw",
    8: "llvm.x86.avx2.packusdw",
    16: "llvm.x86.avx512.packusdw.512",
}
PACK_BYTES = {
    "uint8": {
        4: "llvm.x86.sse2.packuswb.128",
        8: "llvm.x86.avx2.packuswb",
        16: "llvm.x86.avx512.packuswb.512",
    },
    "int8": {
        4: "llvm.x86.sse2.packsswb.128",
        8: "llvm.x86.avx2.packsswb",
        16: "llvm.x86.avx512.packsswb.512",
    },
}


@dataclass(frozen=True, kw_only=True)
class X86Isa(Isa):
    """What every x86-64 variant shares; registers of 4, 8 or 16 lanes."""

    has_blocks: bool = True

    def round_to_int32(self, value: Expr, lanes: int) -> Expr:
        """CVTPS2DQ; the lowest integer for values that are too small."""
        if lanes != self.lanes:
            return super().round_to_int32(value, lanes)
        if lanes < 16:
            return vector.intrinsic("int32", lanes, CONVERT[lanes], value)
        unmasked = (vector.splat(T.int32(0), lanes), T.int16(-1))
        return vector.intrinsic(
            "int32", lanes, CONVERT[lanes], value, *unmasked, T.int32(CURRENT_ROUNDING))

    def quantize_vectors(
        self, reals: Sequence[Expr], zero_point: Expr | None, low: Expr | None,
        high: Expr | None, dtype: str, in_blocks: bool = False,
    ) -> Expr | None:
        """Limit from above, CVTPS2DQ, and pack with saturation."""
        if high is not None:
            last = high if zero_point is None else high - zero_point
            top = vector.splat(vector.cast(last, "float32", 1), self.lanes)
            reals = [T.min(real, top) for real in reals]
        integers = [self.round_to_int32(real, self.lanes) for real in reals]
        packed = self._pack(integers, zero_point, dtype)
        packed = self._bytes(packed, dtype) if in_blocks else self._sorted(packed, dtype)
        if low is None:
            return packed
        lanes = self.lanes * JOINED_VECTORS
        return T.max(packed, vector.splat(vector.cast(low, dtype, 1), lanes))

    def narrow_vectors(
        self, values: Sequence[Expr], dtype: str, in_blocks: bool = False
    ) -> Expr | None:
        """Pack with saturation."""
        packed = self._pack(values, None, dtype)
        return self._bytes(packed, dtype) if in_blocks else self._sorted(packed, dtype)

    def spread_blocks(self, values: Sequence[Expr]) -> list[Expr]:
        """PUNPCK of bytes, then of pairs of them: within 128-bit blocks."""
        num_bytes = JOINED_VECTORS * self.lanes
        first, second = (
            [vector.bind(T.reinterpret(f"int16x{num_bytes // 2}", half))
             for half in unpack(values[k], values[k + 1], BLOCK_BYTES)]
            for k in (0, 2)
        )
        return [
            vector.bind(T.reinterpret(f"int32x{self.lanes}", quarter))
            for a, b in zip(first, second, strict=True)
            for quarter in unpack(a, b, BLOCK_BYTES // 2)
        ]

    def join_words(self, low: Expr, high: Expr) -> Expr:
        """PACKUSDW."""
        name, lanes = PACK_UNSIGNED_WORDS[self.lanes], 2 * self.lanes
        words = vector.intrinsic("int16", lanes, name, low, high)
        return T.reinterpret(f"uint16x{lanes}", words)

    def join_bytes(self, low: Expr, high: Expr) -> Expr:
        """PACKUSWB and one permutation."""
        words = [T.reinterpret(f"int16x{2 * self.lanes}", half) for half in (low, high)]
        mixed = vector.intrinsic(
            "int8", 4 * self.lanes, PACK_BYTES["uint8"][self.lanes], *words)
        return self._sorted(mixed, "uint8")

    def _pack(self, values: Sequence[Expr], zero_point: Expr | None, dtype: str) -> Expr:
        """Join up to four int32 vectors, within blocks; missing ones repeat the last."""
        lanes = self.lanes
        full = [vector.bind(v) for v in values]
        full += [full[-1]] * (JOINED_VECTORS - len(full))
        words = []
        for pair in ((full[0], full[1]), (full[2], full[3])):
            word = vector.intrinsic("int16", 2 * lanes, PACK_WORDS[lanes], *pair)
            if zero_point is not None:
                moved = vector.splat(vector.cast(zero_point, "int16", 1), 2 * lanes)
                word = vector.intrinsic("int16", 2 * lanes, "llvm.sadd.sat", word, moved)
            words.append(vector.bind(word))
        return vector.intrinsic("int8", 4 * lanes, PACK_BYTES[dtype][lanes], *words)

    def _bytes(self, mixed: Expr, dtype: str) -> Expr:
        """Take packed bytes as they are."""
        return vector.bind(T.reinterpret(f"{dtype}x{4 * self.lanes}", mixed))

    def _sorted(self, mixed: Expr, dtype: str) -> Expr:
        """Put bytes that were packed within 128-bit blocks in the order of their vectors."""
        lanes = self.lanes
        size = self.block_lanes
        # Block b of the bytes holds block b of each vector; 4 bytes are one 32-bit lane here.
        order = [b * size + v for v in range(JOINED_VECTORS) for b in range(lanes // size)]
        sorted_lanes = vector.take(T.reinterpret(f"int32x{lanes}", mixed), order)
        return vector.bind(T.reinterpret(f"{dtype}x{4 * lanes}", sorted_lanes))


def unpack(a: Expr, b: Expr, block: int) -> tuple[Expr, Expr]:
    """Interleave the lower and the upper halves of every block of ``block`` lanes."""
    lanes = vector.num_lanes(a)
    halves = []
    for first in (0, block // 2):
        picked = [at + first + i for at in range(0, lanes, block) for i in range(block // 2)]
        order = [T.int32(n) for lane in picked for n in (lane, lanes + lane)]
        halves.append(tirx.Shuffle([a, b], order))
    return halves[0], halves[1]
