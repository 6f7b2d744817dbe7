"""SSE4.1: every x86-64 CPU since 2008."""

from dataclasses import dataclass

from octavo.targets.x86.multiply_pairs import PairIsa


@dataclass(frozen=True, kw_only=True)
class Sse41(PairIsa):
    """128-bit registers."""

    name: str = "sse41"
    has_fma: bool = False
    features: tuple[str, ...] = ("sse4.2",)
