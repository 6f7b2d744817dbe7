"""64-bit integers, one for each 32-bit lane of a vector."""

from typing import Any

from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector

Expr = Any
WORD_BITS = 32
PRODUCT_BITS = 31  # that a product of fixed-point numbers has more than each of them
Wide = Any  # a number that only the functions below and +, -, * and >> take


class WideLanes:
    """Arithmetic of vectors of int64, modulo 2**64.

    Sums, differences, products and arithmetic shifts of its numbers are written as operators.

    Attributes:
        lanes: Of a vector.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes

    def extend(self, value: Expr) -> Wide:
        """Extend integer lanes of at most 32 bits."""
        return vector.cast(value, "int64", self.lanes)

    def same(self, value: Expr) -> Wide:
        """Repeat an int64 scalar in every lane."""
        return vector.splat(value, self.lanes)

    def load(self, buffer: Any, offset: Expr, count: int) -> Wide:
        """Load int64 elements, the last of them repeated.

        Args:
            buffer: As ``order`` has left them.
            offset: First element.
            count: Elements that exist, at most ``lanes``.
        """
        # Eight bytes a lane: a whole vector could end too far behind the operand. The
        # arithmetic is on whole vectors: code for three 64-bit lanes is wrong on Arm.
        return vector.take(
            vector.load(buffer, offset, count),
            [min(lane, count - 1) for lane in range(self.lanes)])

    def order(self, values: NDArray[Any]) -> NDArray[Any]:
        """Order int64 elements in whole vectors for ``load``."""
        return values

    def quotients(self, dividend: Expr, divisors: Expr) -> Wide:
        """Divide an int64 scalar, not negative, by positive int32 lanes, rounding down."""
        return vector.bind(T.truncdiv(self.same(dividend), self.extend(divisors)))

    def larger(self, a: Wide, b: Wide) -> Wide:
        """Larger number of each lane, in [-2**62, 2**62)."""
        return T.max(a, b)

    def smaller(self, a: Wide, b: Wide) -> Wide:
        """Smaller number of each lane, as of ``larger``."""
        return T.min(a, b)

    def narrow(self, value: Wide) -> Expr:
        """int32 lanes of numbers that they hold."""
        return vector.cast(value, "int32", self.lanes)

    def limit(self, value: Wide, low: Expr, high: Expr) -> Expr:
        """Limit every lane to what int32 holds; int32 lanes.

        Args:
            value: Any numbers.
            low: int64 scalar.
            high: int64 scalar.
        """
        return self.narrow(T.min(T.max(value, self.same(low)), self.same(high)))

    def high_product(self, a: Expr, b: Expr) -> Expr:
        """Multiply int32 lanes, and round half up to ``PRODUCT_BITS`` less; int32 lanes."""
        half = vector.splat(T.int64(1 << (PRODUCT_BITS - 1)), self.lanes // 2)
        pairs = [
            vector.bind(T.reinterpret(f"int64x{self.lanes // 2}", vector.bind(value)))
            for value in (a, b)]
        word, place, one = (
            vector.splat(T.int64(n), self.lanes // 2) for n in (WORD_BITS, PRODUCT_BITS, 1))
        odd = [T.shift_right(pair, word) for pair in pairs]
        even = [T.shift_right(T.shift_left(pair, word), word) for pair in pairs]
        # the odd lanes' results are moved up by one bit, instead of down and up again
        low = T.shift_right(even[0] * even[1] + half, place)
        high = T.shift_left(odd[0] * odd[1] + half, one)
        lower, upper = (
            vector.splat(T.int64(mask), self.lanes // 2)
            for mask in ((1 << WORD_BITS) - 1, -(1 << WORD_BITS)))
        joined = T.bitwise_or(T.bitwise_and(low, lower), T.bitwise_and(high, upper))
        return vector.bind(T.reinterpret(f"int32x{self.lanes}", joined))
