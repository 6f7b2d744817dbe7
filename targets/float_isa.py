"""float32 in the registers of an instruction variant."""

from dataclasses import dataclass
from typing import Any

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa


@dataclass(frozen=True, kw_only=True)
class FloatIsa(Isa):
    """The same vector registers, holding float32: ``dot`` is a multiply-add."""

    dot_cost: float = 1.0
    activation_dtype: str = "float32"
    acc_dtype: str = "float32"

    def load_activations(self, buffer: Any, offset: Expr) -> Expr:
        """Load one activation, repeated for every lane."""
        return vector.splat(vector.load(buffer, offset), self.lanes)

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load ``lanes`` weights."""
        return vector.load(buffer, offset, self.lanes)

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """Multiply and add, with one rounding where the CPU can."""
        if not self.has_fma:
            return acc + activations * weights
        return vector.fma(activations, weights, acc, self.lanes)


def float_isa(isa: Isa) -> FloatIsa:
    """Float arithmetic on the registers of ``isa``."""
    return FloatIsa(
        name=f"{isa.name}_f32",
        lanes=isa.float_lanes or isa.lanes,
        num_registers=isa.num_registers,
        has_fma=isa.has_fma,
        pipeline=isa.pipeline,
        features=isa.features,
    )
