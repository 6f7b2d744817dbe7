"""Sigmoid and tanh on vectors, as ``octavo.targets.ops.word_functions`` defines them."""

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, clamp
from octavo.targets.kernels.twice_rounded import divide_rounding
from octavo.targets.ops.word_functions import (
    DIVISION_BITS,
    DIVISION_STEPS,
    EXP_FACTORS,
    EXP_MIDDLE,
    EXPONENTS,
    GATE_INTEGER_BITS,
    GUESS,
    GUESS_SLOPE,
    LOWEST_EXPONENT,
    MAX_EXACT_BITS,
    ONE,
    ONE_THIRD,
    WORD_FRACTION_BITS,
    WORD_MAX,
    WORD_MIN,
)

SIGN_BITS = 31


class WordFunctions:
    """Emits operations on vectors of 16-bit numbers in int32 lanes.

    Attributes:
        lanes: Of a vector.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes

    def sigmoid(self, value: Expr) -> Expr:
        """``word_sigmoid``."""
        same = self.same
        negative = self._negative(value)
        inverse = self._inverse_of_one_and(
            self._exp_of_negative(negative, GATE_INTEGER_BITS))
        positive = self._shifted_left(inverse, WORD_FRACTION_BITS - 1 - DIVISION_BITS)
        result = self._chosen(same(0) - value, positive, same(ONE) - positive)
        half = same(1 << (WORD_FRACTION_BITS - 1))
        return self._chosen(negative, result, half)

    def tanh(self, value: Expr, integer_bits: int) -> Expr:
        """``word_tanh``."""
        same = self.same
        negative = self._negative(value)
        inverse = self._inverse_of_one_and(self._exp_of_negative(negative, integer_bits + 1))
        magnitude = self._shifted_left(
            inverse - same(1 << DIVISION_BITS), WORD_FRACTION_BITS - DIVISION_BITS)
        result = self._chosen(value, same(0) - magnitude, magnitude)
        return self._chosen(negative, result, same(0))

    def divide(self, value: Expr, bits: int) -> Expr:
        """``divide_rounding`` by a constant."""
        half = self.same((1 << bits) >> 1)
        return divide_rounding(value, self.same(bits), half, self.lanes)

    def saturate(self, value: Expr) -> Expr:
        """``saturate_word``."""
        return vector.bind(clamp(value, self.same(WORD_MIN), self.same(WORD_MAX)))

    def same(self, number: int) -> Expr:
        """Repeat a number in all lanes."""
        return vector.splat(T.int32(number), self.lanes)

    def _chosen(self, sign: Expr, negative: Expr, other: Expr) -> Expr:
        """Take one number of each lane where ``sign`` is negative, another elsewhere."""
        mask = T.shift_right(sign, self.same(SIGN_BITS))
        other = vector.bind(other)
        return self._stored(other + T.bitwise_and(negative - other, mask))

    def _stored(self, value: Expr) -> Expr:
        """Pass a value through a local.

        TVM 0.27 puts named values in the place of their names while it looks for what could
        be simplified: chains that use each of their values several times take it minutes.
        """
        place = vector.local(self.lanes, "int32")
        vector.store(place, 0, value, self.lanes)
        return vector.bind(vector.load(place, 0, self.lanes))

    def _negative(self, value: Expr) -> Expr:
        return vector.bind(T.min(value, self.same(0) - value))

    def _exp_of_negative(self, value: Expr, integer_bits: int) -> Expr:
        same = self.same
        fraction_bits = WORD_FRACTION_BITS - integer_bits
        quarter = 1 << (fraction_bits - 2)
        in_quarter = vector.bind(T.bitwise_and(value, same(quarter - 1)) - same(quarter))
        remainder = vector.bind(in_quarter - value)
        result = self._exp_in_quarter(
            vector.bind(T.shift_left(in_quarter, same(integer_bits))))
        for exponent, factor in zip(EXPONENTS, EXP_FACTORS, strict=True):
            if exponent < integer_bits:
                bit = T.shift_left(remainder, same(SIGN_BITS - fraction_bits - exponent))
                less = self._product(result, same(factor))
                result = self._chosen(bit, less, result)
        if integer_bits > MAX_EXACT_BITS:
            too_low = value - same(LOWEST_EXPONENT << fraction_bits)
            result = self._chosen(too_low, same(0), result)
        return self._chosen(value, result, same(ONE))

    def _exp_in_quarter(self, value: Expr) -> Expr:
        same, product = self.same, self._product
        x = vector.bind(value + same(1 << (WORD_FRACTION_BITS - 3)))
        x2 = product(x, x)
        x3, x4 = product(x2, x), product(x2, x2)
        high = product(vector.bind(self.divide(x4, 2) + x3), same(ONE_THIRD))
        bend = self.divide(high + x2, 1)
        rise = product(vector.bind(x + bend), same(EXP_MIDDLE))
        return vector.bind(T.min(same(EXP_MIDDLE) + rise, same(ONE)))

    def _inverse_of_one_and(self, value: Expr) -> Expr:
        same, product = self.same, self._product
        half_sum = vector.bind(T.shift_right(value + same(ONE + 1), same(1)))
        x = vector.bind(same(GUESS) + product(half_sum, same(GUESS_SLOPE)))
        for _ in range(DIVISION_STEPS):
            missing = vector.bind(same(1 << DIVISION_BITS) - product(half_sum, x))
            more = self._shifted_left(
                product(x, missing), WORD_FRACTION_BITS - DIVISION_BITS)
            x = self._stored(x + more)
        return x

    def _product(self, a: Expr, b: Expr) -> Expr:
        rounded = a * b + self.same(1 << (WORD_FRACTION_BITS - 1))
        return vector.bind(T.shift_right(rounded, self.same(WORD_FRACTION_BITS)))

    def _shifted_left(self, value: Expr, bits: int) -> Expr:
        return self.saturate(T.shift_left(value, self.same(bits)))
