"""64-bit arithmetic on vectors of 32-bit words: HVX has no wider lanes.

A number is two vectors, of its lower and upper words. Products come in this form from two
instructions, and a rounding division by 2**33 or more needs no lower words at all.
"""

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.dyadic_sum import DyadicSum, Expr

WORD_BITS = 32
LAST_BIT = WORD_BITS - 1
LANES = 32
INT32_MAX = 2**31 - 1


def product(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """Multiply int32 lanes: lower and upper words."""
    pair = vector.intrinsic("int32", 2 * LANES, "llvm.hexagon.V6.vmpyewuh.64.128B", a, b)
    pair = vector.bind(vector.intrinsic(
        "int32", 2 * LANES, "llvm.hexagon.V6.vmpyowh.64.acc.128B", pair, a, b))
    low, high = (
        _settled(vector.intrinsic(
            "int32", LANES, f"llvm.hexagon.V6.{half}.128B", pair))
        for half in ("lo", "hi"))
    return low, high


def round_sum(total: DyadicSum) -> Expr:
    """Round a sum to int32, saturated where that changes no 8-bit result.

    Args:
        total: Its vectors have 32 lanes.
    """
    if total.more is None:
        return _round_product(total)
    return _round_two(total)


def _round_product(total: DyadicSum) -> Expr:
    """(value * significand + 2**(shift - 1)) >> shift from upper words.

    Where the shift is below 33 the value is shifted up instead. It may saturate then only if
    the significand has 31 bits: the result's magnitude is 2**28 or more in either case.
    """
    shift = total.shift
    up = vector.bind(T.max(_same(WORD_BITS + 1) - shift, _same(0)))
    highest = vector.bind(T.shift_right(_same(INT32_MAX), up))
    limited = T.min(T.max(total.value, T.bitwise_xor(highest, _same(-1))), highest)
    _, high = product(vector.bind(T.shift_left(limited, up)), total.significand)
    down = vector.bind(T.max(shift, _same(WORD_BITS + 1)) - _same(WORD_BITS))
    half = T.shift_left(_same(1), down - _same(1))
    return T.shift_right(high + half, down)


def _round_two(total: DyadicSum) -> Expr:
    """The same with a second product; shifts from 1 to 62, saturated to int32."""
    shift = total.shift
    low, high = product(total.value, total.significand)
    more_low, more_high = product(total.more, total.scale_low)
    # The lower word was multiplied as a signed number: 2**32 is missing where it is negative.
    scale_high = total.scale_high - T.shift_right(total.scale_low, _same(LAST_BIT))
    high = _settled(high + more_high + total.more * scale_high)
    low, high = _add_low(low, high, more_low)
    bit = _settled(shift - _same(1))
    is_low = bit < _same(WORD_BITS)
    half = _settled(T.shift_left(_same(1), T.bitwise_and(bit, _same(LAST_BIT))))
    low, high = _add_low(low, high, tirx.Select(is_low, half, _same(0)))
    high = _settled(high + tirx.Select(is_low, _same(0), half))
    from_high = T.shift_right(high, T.max(shift - _same(WORD_BITS), _same(0)))
    # Below 32 bits of shift the result takes bits of both words, and may not fit.
    up = T.min(T.max(_same(WORD_BITS) - shift, _same(0)), _same(LAST_BIT))
    down = T.min(shift, _same(LAST_BIT))
    lower_bits = T.shift_right(_unsigned(low), _unsigned(down))
    mixed = _settled(T.bitwise_or(
        T.shift_left(high, up), T.reinterpret(f"int32x{LANES}", lower_bits)))
    sign = _settled(T.shift_right(high, _same(LAST_BIT)))
    rest = _settled(T.shift_right(high, T.min(bit, _same(LAST_BIT))))
    mixed = tirx.Select(
        tirx.EQ(rest, sign), mixed, T.bitwise_xor(sign, _same(INT32_MAX)))
    return tirx.Select(shift < _same(WORD_BITS), mixed, from_high)


def _add_low(low: Expr, high: Expr, more: Expr) -> tuple[Expr, Expr]:
    """Add a lower word to a number; TVM's own addition must not overflow."""
    total = _settled(vector.intrinsic(
        "int32", LANES, "llvm.hexagon.V6.vaddw.128B", low, more))
    carries = _unsigned(total) < _unsigned(low)
    return total, _settled(high + tirx.Select(carries, _same(1), _same(0)))


def _settled(value: Expr) -> Expr:
    """Name a vector; TVM's simplifier looks through a bound one, ever more slowly."""
    held = vector.local(LANES, "int32")
    vector.store(held, 0, value, LANES)
    return vector.load(held, 0, LANES)


def _unsigned(value: Expr) -> Expr:
    return T.reinterpret(f"uint32x{LANES}", value)


def _same(number: int) -> Expr:
    return vector.splat(T.int32(number), LANES)
