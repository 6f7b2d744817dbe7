"""Emit ``octavo.targets.ops.exponential``: nothing in it is left to contraction."""

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.ops.exponential import (
    EXP_TERMS,
    EXPONENT_BIAS,
    LN2_HIGH,
    LN2_LOW,
    LOG2_E,
    LOWEST,
    MANTISSA_BITS,
    ROUNDER,
)


def exp_float32(x: Expr, lanes: int) -> Expr:
    """Compute exp of float32 lanes that are at most 0."""

    def same(value: float) -> Expr:
        return vector.splat(T.float32(value), lanes)

    def fma(a: Expr, b: Expr, c: Expr) -> Expr:
        return vector.bind(vector.fma(a, b, c, lanes))

    x = vector.bind(T.max(x, same(LOWEST)))
    rounded = fma(x, same(LOG2_E), same(ROUNDER))
    n = vector.bind(rounded - same(ROUNDER))
    r = fma(n, same(-LN2_LOW), fma(n, same(-LN2_HIGH), x))
    total = same(EXP_TERMS[0])
    for term in EXP_TERMS[1:]:
        total = fma(total, r, same(term))
    total = fma(total, vector.bind(r * r), r) + same(1.0)
    # The last bits of the rounded number are n: those before it are shifted out.
    bits = T.reinterpret(vector.vector_type("int32", lanes), rounded)
    bias, places = (
        vector.splat(T.int32(value), lanes) for value in (EXPONENT_BIAS, MANTISSA_BITS))
    power = T.reinterpret(
        vector.vector_type("float32", lanes), T.shift_left(bits + bias, places))
    return vector.bind(total * power)
