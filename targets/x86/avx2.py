"""AVX2: x86-64 CPUs since Haswell (2013) and Zen (2017)."""

from dataclasses import dataclass

from octavo.targets.x86.multiply_pairs import PairIsa


@dataclass(frozen=True, kw_only=True)
class Avx2(PairIsa):
    """256-bit registers, with fused multiply-add for float."""

    name: str = "avx2"
    lanes: int = 8
    features: tuple[str, ...] = ("avx2", "fma")
