"""float32 numbers as integers: HVX has no IEEE 754 arithmetic, and none at all before v68."""

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.dyadic_sum import Expr
from octavo.targets.hexagon.words import LANES, LAST_BIT, product, same, settled

FRACTION_BITS = 23
HIDDEN_BIT = 1 << FRACTION_BITS
FRACTION_MASK = HIDDEN_BIT - 1
INFINITY_BITS = 0x7F800000
ABSOLUTE_MASK = 0x7FFFFFFF
LEADING_ZEROS = 8  # of a normal number's significand

RECIPROCAL_BITS = 54
ESTIMATE_SHIFT = 7  # of the dividend, which then has 31 bits
# The upper word of dividend * reciprocal has the quotient with so many bits behind the point.
ESTIMATE_BITS = RECIPROCAL_BITS + ESTIMATE_SHIFT - 32

# Shifts of a quotient of 24 bits: with the largest nothing is left of it but 0, with the
# smallest it is beyond all 8-bit results, whatever their zero point.
LARGEST_SHIFT = 26
SMALLEST_SHIFT = 10
FAR = 1 << (FRACTION_BITS - SMALLEST_SHIFT)


class StepCounter:
    """Divides float32 numbers by a scale and rounds twice, as IEEE 754 and ``rint`` do.

    First to the 24 bits of a float32 quotient, then to an integer, each half to even: what
    quantization is defined by. Make one inside every parallel loop.
    """

    def __init__(self, scale: Expr) -> None:
        """Take the scale apart.

        Args:
            scale: float32 scalar, > 0 and finite.
        """
        bits = vector.bind(T.reinterpret("int32", scale))
        significand, exponent = _parts(bits, 1)
        self.divisor = vector.bind(significand)
        self.exponent = vector.bind(exponent)
        # Below 2**31 also where the divisor is a power of two.
        reciprocal = T.truncdiv(
            T.int64((1 << RECIPROCAL_BITS) - 1), vector.cast(self.divisor, "int64", 1))
        self.reciprocal = vector.bind(vector.cast(reciprocal, "int32", 1))

    def count(self, bits: Expr) -> Expr:
        """Steps of some numbers.

        Args:
            bits: int32 lanes that hold float32 numbers.

        Returns:
            int32: exact up to 2**10; beyond it, and for infinities, ``FAR`` or more, with
            the sign; 0 for NaN.
        """
        bits = settled(bits)
        size = settled(T.bitwise_and(bits, same(ABSOLUTE_MASK)))
        significand, exponent = (settled(part) for part in _parts(size, LANES))
        divisor = vector.splat(self.divisor, LANES)
        # Quotients of significands are in (1/2, 2): one bit less behind the point from 1 on.
        less = settled(tirx.Select(significand >= divisor, same(1), same(0)))
        _, estimate = product(
            settled(T.shift_left(significand, same(ESTIMATE_SHIFT))),
            vector.splat(self.reciprocal, LANES))
        spare = same(ESTIMATE_BITS - FRACTION_BITS - 1)
        quotient = settled(T.shift_right(estimate, spare + less))
        subtracted, _ = product(quotient, divisor)
        place = settled(same(FRACTION_BITS + 1) - less)
        rest = settled(_subtract(T.shift_left(significand, place), subtracted))
        # The estimate may be one too small, and then the rest has a whole divisor in it. Half
        # of the divisor is never left: that quotient would have 25 bits, and no more.
        twice = settled(rest + rest)
        for limit in (self.divisor, self.divisor * T.int32(3)):
            above = twice > vector.splat(limit, LANES)
            quotient = settled(quotient + tirx.Select(above, same(1), same(0)))
        shift = place - exponent + vector.splat(self.exponent, LANES)
        steps = self._rounded(quotient, settled(shift))
        steps = tirx.Select(size < same(INFINITY_BITS), steps, same(FAR))
        steps = settled(tirx.Select(size > same(INFINITY_BITS), same(0), steps))
        sign = settled(T.shift_right(bits, same(LAST_BIT)))
        return settled(T.bitwise_xor(steps, sign) - sign)

    @staticmethod
    def _rounded(quotient: Expr, shift: Expr) -> Expr:
        """Divide by 2**shift, half to even."""
        shift = settled(T.min(T.max(shift, same(SMALLEST_SHIFT)), same(LARGEST_SHIFT)))
        below_half = T.shift_left(same(1), shift - same(1)) - same(1)
        odd = T.bitwise_and(T.shift_right(quotient, shift), same(1))
        return settled(T.shift_right(quotient + below_half + odd, shift))


def _parts(size: Expr, lanes: int) -> tuple[Expr, Expr]:
    """Significand, as of a normal number, and exponent of the bits of a positive number."""
    exponent = vector.bind(T.shift_right(size, _every(FRACTION_BITS, lanes)))
    fraction = vector.bind(T.bitwise_and(size, _every(FRACTION_MASK, lanes)))
    whole = T.bitwise_or(fraction, _every(HIDDEN_BIT, lanes))
    significand = vector.bind(tirx.Select(exponent > _every(0, lanes), whole, fraction))
    zeros = vector.intrinsic("int32", lanes, "llvm.ctlz", significand, T.bool(False))
    missing = vector.bind(zeros - _every(LEADING_ZEROS, lanes))
    normal = T.shift_left(significand, missing)
    return normal, T.max(exponent, _every(1, lanes)) - missing


def _every(number: int, lanes: int) -> Expr:
    return vector.splat(T.int32(number), lanes)


def _subtract(a: Expr, b: Expr) -> Expr:
    """Subtract modulo 2**32; TVM's own subtraction must not overflow."""
    return vector.intrinsic("int32", LANES, "llvm.hexagon.V6.vsubw.128B", a, b)
