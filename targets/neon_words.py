"""64-bit products on NEON: one instruction multiplies and rounds 32-bit lanes.

Source: Arm Architecture Reference Manual for A-profile (DDI 0487), SQRDMULH; Armv7-A and
    Armv7-R edition (DDI 0406), VQRDMULH.
"""

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.wide_lanes import WideLanes

REGISTER_LANES = 4


class NeonWords(WideLanes):
    """Beside registers of four int32 lanes.

    Args:
        intrinsic: LLVM's name of the instruction.
    """

    def __init__(self, intrinsic: str) -> None:
        super().__init__(REGISTER_LANES)
        self._intrinsic = intrinsic

    def high_product(self, a: Expr, b: Expr) -> Expr:
        """SQRDMULH; only the square of the lowest number saturates."""
        return vector.bind(vector.intrinsic("int32", self.lanes, self._intrinsic, a, b))
