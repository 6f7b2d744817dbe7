"""bfloat16 in the registers of an instruction variant: two products for each float32 sum.

A variant that can do it also is a ``Bfloat16Products``. Vectors of bfloat16 are vectors of
uint16 here, because TVM has no LLVM type for them.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.ops.bfloat16_conv import FUSED

# Attribute of PrimFuncs with such products: their LLVM code needs another type than TVM gives.
BFLOAT16_MARK = "octavo.bfloat16"


class Bfloat16Products(ABC):
    """What an instruction variant with products of bfloat16 numbers adds to the others."""

    bfloat16_name: str
    bfloat16_latency: float  # cycles until a sum can be added to again
    bfloat16_sums: str = FUSED  # how two products are added (ops.bfloat16_conv)

    @abstractmethod
    def add_bfloat16(self, acc: Expr, a: Expr, b: Expr) -> Expr:
        """Add two products to each float32 lane, as ``ops.bfloat16_conv.add_pairs``.

        Args:
            acc: float32, ``lanes`` lanes.
            a: uint16, ``2 * lanes`` lanes: bits of bfloat16.
            b: As ``a``.
        """

    @abstractmethod
    def round_bfloat16(self, low: Expr, high: Expr) -> Expr:
        """Round two float32 vectors, as ``ops.bfloat16_conv.round_bfloat16``.

        Returns:
            uint16, ``2 * lanes`` lanes: ``low`` first.
        """


@dataclass(frozen=True, kw_only=True)
class Bfloat16Isa(Isa):
    """The vector registers of a variant, holding bfloat16: ``dot`` adds two products.

    Attributes:
        base: Whose instructions multiply and round.
    """

    dot_k: int = 2
    dot_cost: float = 1.0
    max_unrolled_dots: int = 192  # a row of taps of a first layer
    activation_dtype: str = "uint16"
    acc_dtype: str = "float32"
    base: Bfloat16Products

    def load_activations(self, buffer: Any, offset: Expr) -> Expr:
        """Load two activations as one 32-bit word and repeat it."""
        word = T.reinterpret("int32", vector.load(buffer, offset, self.dot_k))
        return T.reinterpret(f"uint16x{2 * self.lanes}", vector.splat(word, self.lanes))

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load two weights of every lane: [lane][k]."""
        return vector.load(buffer, offset, self.dot_k * self.lanes)

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """Add two products to each float32 lane."""
        return self.base.add_bfloat16(acc, weights, activations)


def bfloat16_isa(isa: Isa) -> Bfloat16Isa | None:
    """bfloat16 on the registers of ``isa``; None where it has no such products."""
    if not isinstance(isa, Bfloat16Products):
        return None
    return Bfloat16Isa(
        name=isa.bfloat16_name,
        lanes=isa.lanes,
        num_registers=isa.num_registers,
        pipeline=replace(isa.pipeline, dot_latency=isa.bfloat16_latency),
        features=isa.features,
        base=isa,
    )
