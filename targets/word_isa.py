"""16-bit integers in the registers of an instruction variant."""

from dataclasses import dataclass, field
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa


@dataclass(frozen=True, kw_only=True)
class WordIsa(Isa):
    """The same vector registers, holding int16: ``dot`` adds two products to each lane.

    Attributes:
        base: Whose ``dot_words`` multiplies.
    """

    dot_k: int = 2
    activation_dtype: str = "int16"
    base: Isa = field(default_factory=Isa)

    def load_activations(self, buffer: Any, offset: Expr) -> Expr:
        """Load two activations as one 32-bit word and repeat it."""
        word = T.reinterpret("int32", vector.load(buffer, offset, self.dot_k))
        repeated = vector.splat(word, self.lanes)
        return T.reinterpret(f"int16x{self.dot_k * self.lanes}", repeated)

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load two weights of every lane: [lane][k]."""
        return vector.load(buffer, offset, self.dot_k * self.lanes)

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """Add two products to each int32 lane, modulo 2**32."""
        return self.base.dot_words(acc, activations, weights)


def word_isa(isa: Isa) -> WordIsa:
    """16-bit arithmetic on the registers of ``isa``."""
    return WordIsa(
        name=f"{isa.name}_i16",
        lanes=isa.lanes,
        num_registers=isa.num_registers,
        dot_cost=isa.word_cost,
        pipeline=isa.pipeline,
        features=isa.features,
        base=isa,
    )
