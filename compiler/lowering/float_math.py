"""exp, tanh, sigmoid and erf as arithmetic, so that loops over them become vector code.

Otherwise they are calls of the C library, one element at a time. Arguments and results are
float32; other types keep their calls. All take infinities and pass NaN on.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tvm import tirx

Expr = Any

# Source: Cephes Mathematical Library 2.2, expf.c and tanhf.c (Moshier 1992).
EXP_TERMS = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
             1.6666665459e-1, 5.0000001201e-1)  # fmt: skip
LOG2_E = 1.44269504088896341
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4  # 9 bits, so that n * LN2_HIGH is exact
EXP_LOW, EXP_HIGH = -104.0, 89.0  # beyond, float32 has only 0 and infinity
TANH_TERMS = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1,
              -3.33332819422e-1)  # fmt: skip
TANH_SMALL = 0.625
TANH_LARGE = 10.0  # tanh is 1 from here on
# Minimax fits: erf(x) / x - 1 in powers of x**2 up to ERF_SMALL, relative to erf; then
# log(1 - erf(x)) + x in powers of x from x on, weighted by 1 - erf. 0.3 and 0.02 units in the
# last place. From ERF_LARGE on erf is 1.
ERF_SMALL, ERF_LARGE = 0.927734375, 4.0
ERF_TERMS = (-5.96411119e-4, 4.98797698e-3, -2.67631058e-2, 1.12817205e-1, -3.76124859e-1,
             1.28379151e-1)  # fmt: skip
ERFC_TERMS = (-1.18039725e-5, 3.28487513e-4, -3.66535666e-3, 2.38100123e-2, -1.06291957e-1,
              -6.35118365e-1, -1.28656507e-1)  # fmt: skip
MANTISSA_BITS, EXPONENT_BIAS = 23, 127


def inline_math(function: Any) -> Any:
    """Replace the calls in a PrimFunc."""
    import tvm_ffi
    from tvm.ir.expr import Call

    def replace(call: Any) -> Any:
        emit = _EMITTERS.get(getattr(call.op, "name", ""))
        if emit is None or str(call.ty) != "float32":
            return call
        return _let(call.args[0], emit)

    return function.with_body(tvm_ffi.structural_map(function.body, (Call, replace)))


def exp(x: Expr) -> Expr:
    """Scale the power of a remainder by 2**n; off by up to 1.5 units in the last place."""
    limited = tirx.min(tirx.max(_or_zero(x), _f(EXP_LOW)), _f(EXP_HIGH))

    def reduced(n: Expr) -> Expr:
        return _let(limited - n * _f(LN2_HIGH) - n * _f(LN2_LOW), lambda r: scaled(n, r))

    def scaled(n: Expr, r: Expr) -> Expr:
        mantissa = _horner(EXP_TERMS, r) * (r * r) + r + _f(1.0)
        exponent = tirx.Cast("int32", n)
        # In two steps: 2**n alone leaves the range where exp(x) is subnormal.
        half = exponent >> tirx.IntImm("int32", 1)
        return mantissa * _power_of_2(half) * _power_of_2(exponent - half)

    return _or_nan(x, _let(tirx.nearbyint(limited * _f(LOG2_E)), reduced))


def tanh(x: Expr) -> Expr:
    """Compute 1 - 2 / (exp(2 |x|) + 1), near 0 a polynomial; off by up to 2 units."""

    def both(t: Expr) -> Expr:
        near = _let(t * t, lambda z: _horner(TANH_TERMS, z) * z * t + t)
        twice = tirx.min(t, _f(TANH_LARGE)) * _f(2.0)
        far = _f(1.0) - _f(2.0) / (_let(twice, exp) + _f(1.0))
        return tirx.copysign(tirx.Select(t < _f(TANH_SMALL), near, far), x)

    return _or_nan(x, _let(tirx.abs(x), both))


def sigmoid(x: Expr) -> Expr:
    """Compute 1 / (1 + exp(-x)); off by up to 2.5 units."""
    return _f(1.0) / (_f(1.0) + _let(_f(0.0) - x, exp))


def erf(x: Expr) -> Expr:
    """Compute 1 - exp(p(|x|)), near 0 a polynomial; off by up to 1.5 units."""

    def both(t: Expr) -> Expr:
        near = _let(t * t, lambda z: _horner(ERF_TERMS, z) * t + t)
        far = _let(tirx.min(t, _f(ERF_LARGE)), above)
        return tirx.copysign(tirx.Select(t < _f(ERF_SMALL), near, far), x)

    def above(t: Expr) -> Expr:
        return _f(1.0) - _let(_horner(ERFC_TERMS, t) * t - t, exp)

    return _or_nan(x, _let(tirx.abs(x), both))


_EMITTERS: dict[str, Callable[[Expr], Expr]] = {
    "tirx.exp": exp, "tirx.tanh": tanh, "tirx.sigmoid": sigmoid, "tirx.erf": erf,
}  # fmt: skip


def _f(value: float) -> Expr:
    return tirx.const(value, "float32")


def _let(value: Expr, body: Callable[[Expr], Expr]) -> Expr:
    """Name a value, so that it is computed once."""
    variable = tirx.Var("v", str(value.ty))
    return tirx.Let(variable, value, body(variable))


def _horner(terms: Sequence[float], x: Expr) -> Expr:
    """The polynomial in x with these coefficients, the highest power first."""
    total = _f(terms[0])
    for term in terms[1:]:
        total = total * x + _f(term)
    return total


def _power_of_2(exponent: Expr) -> Expr:
    """2**exponent as its bits; exponent in [-126, 127]."""
    biased = exponent + tirx.IntImm("int32", EXPONENT_BIAS)
    return tirx.reinterpret("float32", biased << tirx.IntImm("int32", MANTISSA_BITS))


def _or_zero(x: Expr) -> Expr:
    """X, or 0 for NaN, which has no integer part."""
    return tirx.Select(tirx.isnan(x), _f(0.0), x)


def _or_nan(x: Expr, result: Expr) -> Expr:
    return tirx.Select(tirx.isnan(x), x, result)
