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
        settled(vector.intrinsic(
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
    up = vector.bind(T.max(same(WORD_BITS + 1) - shift, same(0)))
    highest = vector.bind(T.shift_right(same(INT32_MAX), up))
    limited = T.min(T.max(total.value, T.bitwise_xor(highest, same(-1))), highest)
    _, high = product(vector.bind(T.shift_left(limited, up)), total.significand)
    down = vector.bind(T.max(shift, same(WORD_BITS + 1)) - same(WORD_BITS))
    half = T.shift_left(same(1), down - same(1))
    return T.shift_right(high + half, down)


def _round_two(total: DyadicSum) -> Expr:
    """The same with a second product; shifts from 1 to 62, saturated to int32."""
    shift = total.shift
    low, high = product(total.value, total.significand)
    more_low, more_high = product(total.more, total.scale_low)
    # The lower word was multiplied as a signed number: 2**32 is missing where it is negative.
    scale_high = total.scale_high - T.shift_right(total.scale_low, same(LAST_BIT))
    high = settled(high + more_high + total.more * scale_high)
    low, high = _add_low(low, high, more_low)
    bit = settled(shift - same(1))
    is_low = bit < same(WORD_BITS)
    half = settled(T.shift_left(same(1), T.bitwise_and(bit, same(LAST_BIT))))
    low, high = _add_low(low, high, tirx.Select(is_low, half, same(0)))
    high = settled(high + tirx.Select(is_low, same(0), half))
    from_high = T.shift_right(high, T.max(shift - same(WORD_BITS), same(0)))
    # Below 32 bits of shift the result takes bits of both words, and may not fit.
    up = T.min(T.max(same(WORD_BITS) - shift, same(0)), same(LAST_BIT))
    down = T.min(shift, same(LAST_BIT))
    lower_bits = T.shift_right(unsigned(low), unsigned(down))
    mixed = settled(T.bitwise_or(
        T.shift_left(high, up), T.reinterpret(f"int32x{LANES}", lower_bits)))
    sign = settled(T.shift_right(high, same(LAST_BIT)))
    rest = settled(T.shift_right(high, T.min(bit, same(LAST_BIT))))
    mixed = tirx.Select(
        tirx.EQ(rest, sign), mixed, T.bitwise_xor(sign, same(INT32_MAX)))
    return tirx.Select(shift < same(WORD_BITS), mixed, from_high)


def _add_low(low: Expr, high: Expr, more: Expr) -> tuple[Expr, Expr]:
    """Add a lower word to a number; TVM's own addition must not overflow."""
    total = settled(vector.intrinsic(
        "int32", LANES, "llvm.hexagon.V6.vaddw.128B", low, more))
    carries = unsigned(total) < unsigned(low)
    return total, settled(high + tirx.Select(carries, same(1), same(0)))


def settled(value: Expr) -> Expr:
    """Name a vector; TVM's simplifier looks through a bound one, ever more slowly."""
    held = vector.local(LANES, "int32")
    vector.store(held, 0, value, LANES)
    return vector.load(held, 0, LANES)


def unsigned(value: Expr) -> Expr:
    """Take the bits of int32 lanes as uint32."""
    return T.reinterpret(f"uint32x{LANES}", value)


def same(number: int) -> Expr:
    """Repeat a number in every lane."""
    return vector.splat(T.int32(number), LANES)
