"""Emit roundings of 64-bit products: one, or two that may leave them for 32-bit lanes between.

``octavo.targets.ops.requantize.round_once`` and ``round_twice``.
"""

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.ops.requantize import DIVIDED_SHIFTS, SIGNIFICAND_BITS
from octavo.targets.wide_lanes import WORD_BITS, WideLanes

# Larger numbers saturate any result; with half of a step added they would not fit.
MOST = (1 << SIGNIFICAND_BITS) - 1 - (1 << (DIVIDED_SHIFTS[-1] - SIGNIFICAND_BITS - 1))


def round_once(total: Expr, shift: Expr, lanes: int) -> Expr:
    """Emit ``octavo.targets.ops.requantize.round_once``."""
    one = vector.splat(T.int64(1), lanes)
    return T.shift_right(total + T.shift_left(one, shift - one), shift)


def round_twice(total: Expr, shift: Expr, lanes: int) -> Expr:
    """Emit ``octavo.targets.ops.requantize.round_twice``."""
    one, sign = (vector.splat(T.int64(number), lanes) for number in (1, 63))
    first = vector.bind(T.min(shift, vector.splat(T.int64(SIGNIFICAND_BITS), lanes)))
    places = vector.bind(shift - first)
    is_more = vector.bind(T.min(places, one))
    half = is_more * T.shift_left(one, T.max(places, one) - one)
    high = vector.bind(round_once(total, first, lanes))
    away = T.shift_right(high, sign) * is_more
    return T.shift_right(high + half + away, places)


def round_divided(
    acc: Expr, significand: Expr, places: Expr, half: Expr, wide: WideLanes
) -> Expr:
    """Multiply, round to 31 bits less, and divide, rounding half away from zero.

    ``round_twice`` where all shifts are ``DIVIDED_SHIFTS``.

    Args:
        acc: int32 vector.
        significand: int32 vector, not negative.
        places: int32 vector: the shifts less ``SIGNIFICAND_BITS``.
        half: int32 vector of 2**(places - 1).
        wide: 64-bit arithmetic beside such vectors.
    """
    lanes = wide.lanes
    high = vector.bind(T.min(
        wide.high_product(acc, significand), vector.splat(T.int32(MOST), lanes)))
    sign = T.shift_right(high, vector.splat(T.int32(WORD_BITS - 1), lanes))
    return T.shift_right(high + half + sign, places)


def divide_rounding(value: Expr, places: Expr, half: Expr, lanes: int) -> Expr:
    """Divide by 2**places, rounding half away from zero.

    Args:
        value: int32 vector; its sums with ``half`` fit.
        places: int32 vector, also of 0.
        half: int32 vector of 2**places / 2, rounded down.
        lanes: Of all of them.
    """
    value = vector.bind(value)
    # one less where the value is negative, unless it is not divided at all
    sign = T.shift_right(value, vector.splat(T.int32(WORD_BITS - 1), lanes))
    away = T.max(sign, vector.splat(T.int32(0), lanes) - half)
    return vector.bind(T.shift_right(value + half + away, places))
