"""16-bit integers in the registers of an instruction variant."""

from dataclasses import dataclass, field, replace
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.float_isa import float_isa
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernel import Slower

WORD = "int16"
MAX_WORD_COST = 2.0  # of ``Isa.dot_words``: above, single products are cheaper


@dataclass(frozen=True, kw_only=True)
class WordIsa(Isa):
    """The same vector registers, holding int16: ``dot`` adds two products to each lane.

    Attributes:
        base: Whose ``dot_words`` multiplies.
    """

    dot_k: int = 2
    activation_dtype: str = WORD
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

    def add_taps(self, total: Any, taps: Expr, weights: Expr) -> Any:
        """Add two products; ``taps`` are two activations in each 32-bit lane."""
        words = T.reinterpret(f"int16x{self.dot_k * self.lanes}", taps)
        return vector.bind(self.dot(total, words, weights))


@dataclass(frozen=True, kw_only=True)
class SingleWordIsa(Isa):
    """The same registers, one product for each lane: a multiplication that widens (SMLAL)."""

    activation_dtype: str = WORD
    dot_cost: float = 1.0
    activation_cycles: float = 0.0


def word_isa(isa: Isa) -> WordIsa:
    """16-bit arithmetic on the registers of ``isa``, two products for each lane."""
    return WordIsa(
        name=f"{isa.name}_i16",
        lanes=isa.lanes,
        num_registers=isa.num_registers,
        dot_cost=isa.word_cost,
        pipeline=isa.pipeline,
        features=isa.features,
        base=isa,
    )


def arithmetic_of_words(isa: Isa) -> Isa:
    """16-bit arithmetic as ``isa`` does it best: two products for each lane, or one."""
    if isa.word_cost <= MAX_WORD_COST:
        return word_isa(isa)
    if isa.dot_k == 1:
        return replace(isa, name=f"{isa.name}_i16", activation_dtype=WORD)
    return SingleWordIsa(
        name=f"{isa.name}_i16",
        lanes=isa.lanes,
        num_registers=isa.num_registers,
        pipeline=isa.pipeline,
        features=isa.features,
    )


def slower_words(isa: Isa) -> Slower | None:
    """Why products of 16-bit integers are expected to win nothing against float32, or None."""
    words, floats = arithmetic_of_words(isa), float_isa(isa)
    per_word = words.dot_k * words.lanes / words.dot_cost
    per_float = floats.lanes / (floats.dot_cost if floats.has_fma else 2 * floats.dot_cost)
    if per_word > per_float:
        return None
    return Slower(
        f"{isa.name} multiplies {per_word:g} numbers of 16 bits in the time of {per_float:g}"
        " float32 ones"
    )
