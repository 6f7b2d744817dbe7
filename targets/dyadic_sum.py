"""Operand of an instruction variant's integer requantization."""

from dataclasses import dataclass
from typing import Any

Expr = Any


@dataclass(frozen=True)
class DyadicSum:
    """(value * significand [+ more * scale] + 2**(shift - 1)) >> shift, lane by lane.

    See ``octavo.targets.ops.requantize.requantize_dyadic``.

    Attributes:
        value: int32 vector.
        significand: int32 vector, values in [0, 2**31), and at least 2**30 where the shift is
            below 33.
        shift: int32 vector, values in [1, 62].
        more: int32 vector of at most 9 bits and a sign, or None.
        scale_low, scale_high: int32 vectors: the words of its int64 scales, |scale| < 2**53.
    """

    value: Expr
    significand: Expr
    shift: Expr
    more: Expr | None = None
    scale_low: Expr | None = None
    scale_high: Expr | None = None
