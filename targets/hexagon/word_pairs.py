"""64-bit integers as pairs of vectors of 32-bit words: HVX has no wider lanes."""

from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.hexagon.words import (
    INT32_MAX,
    LANES,
    LAST_BIT,
    WORD_BITS,
    product,
    same,
    settled,
    unsigned,
)
from octavo.targets.wide_lanes import Expr, Wide, WideLanes


@dataclass(frozen=True)
class WordPair:
    """A vector of int64.

    Attributes:
        low: Lower words, int32 lanes.
        high: Upper words.
        is_word: It was extended from ``low``.
    """

    low: Expr
    high: Expr
    is_word: bool = False

    def __add__(self, other: "WordPair") -> "WordPair":
        """Add modulo 2**64."""
        low = _wrapped("vaddw", self.low, other.low)
        carry = _bit(unsigned(low) < unsigned(self.low))
        high = _wrapped("vaddw", self.high, other.high)
        return WordPair(low, _wrapped("vaddw", high, carry))

    def __sub__(self, other: "WordPair") -> "WordPair":
        """Subtract modulo 2**64."""
        low = _wrapped("vsubw", self.low, other.low)
        borrow = _bit(unsigned(self.low) < unsigned(other.low))
        high = _wrapped("vsubw", self.high, other.high)
        return WordPair(low, _wrapped("vsubw", high, borrow))

    def __mul__(self, other: "WordPair") -> "WordPair":
        """Multiply modulo 2**64."""
        low, high = product(self.low, other.low)
        for a, b in ((self, other), (other, self)):
            if not b.is_word:
                # The lower word was multiplied as a signed number: 2**32 is missing where it
                # is negative.
                sign = settled(T.shift_right(b.low, same(LAST_BIT)))
                more, _ = product(a.low, _wrapped("vsubw", b.high, sign))
                high = _wrapped("vaddw", high, more)
        return WordPair(low, high)

    def __rshift__(self, shift: "WordPair") -> "WordPair":
        """Shift by 1 to 63, arithmetically."""
        amount = shift.low
        down = settled(T.min(amount, same(LAST_BIT)))
        up = settled(T.max(same(WORD_BITS) - amount, same(0)))
        lower_bits = T.shift_right(unsigned(self.low), unsigned(down))
        mixed = T.bitwise_or(
            T.shift_left(self.high, up), T.reinterpret(f"int32x{LANES}", lower_bits))
        from_high = T.shift_right(self.high, T.max(amount - same(WORD_BITS), same(0)))
        low = tirx.Select(amount < same(WORD_BITS), mixed, from_high)
        return WordPair(settled(low), settled(T.shift_right(self.high, down)))

    def saturated(self) -> Expr:
        """int32 lanes."""
        if self.is_word:
            return self.low
        fits = tirx.EQ(self.high, T.shift_right(self.low, same(LAST_BIT)))
        limit = T.bitwise_xor(T.shift_right(self.high, same(LAST_BIT)), same(INT32_MAX))
        return settled(tirx.Select(fits, self.low, limit))

    def below(self, other: "WordPair") -> Expr:
        """Whether each lane is less, for numbers whose difference has no more than 64 bits."""
        return (self - other).high < same(0)


class WordPairLanes(WideLanes):
    """Arithmetic of ``WordPair``."""

    def __init__(self) -> None:
        super().__init__(LANES)

    def extend(self, value: Expr) -> WordPair:
        """Repeat signs in upper words."""
        low = settled(vector.cast(value, "int32", LANES))
        return WordPair(low, settled(T.shift_right(low, same(LAST_BIT))), is_word=True)

    def same(self, value: Expr) -> WordPair:
        """Split the scalar."""
        value = vector.bind(value)
        low, high = (
            settled(vector.splat(vector.cast(word, "int32", 1), LANES))
            for word in (value, T.shift_right(value, T.int64(WORD_BITS))))
        return WordPair(low, high)

    def load(self, buffer: Any, offset: Expr, count: int) -> WordPair:
        """Take words apart; lanes that do not exist hold anything."""
        return WordPair(*vector.load_words(buffer, offset, LANES, count))

    def quotients(self, dividend: Expr, divisors: Expr) -> WordPair:
        """Divide lane by lane: nothing divides vectors."""
        dividend = vector.bind(dividend)
        totals, results = vector.local(LANES, "int32"), vector.local(LANES, "int64")
        vector.store(totals, 0, divisors, LANES)
        with vector.loop(LANES) as lane:
            divisor = vector.cast(vector.load(totals, lane), "int64", 1)
            vector.store(results, lane, T.truncdiv(dividend, divisor))
        return self.load(results, 0, LANES)

    def larger(self, a: Wide, b: Wide) -> WordPair:
        """Select both words."""
        return _selected(a.below(b), b, a)

    def smaller(self, a: Wide, b: Wide) -> WordPair:
        """Select both words."""
        return _selected(a.below(b), a, b)

    def narrow(self, value: Wide) -> Expr:
        """Drop upper words."""
        return value.low

    def limit(self, value: Wide, low: Expr, high: Expr) -> Expr:
        """Saturate to int32 first: the limits are inside."""
        low, high = (
            vector.splat(vector.cast(limit, "int32", 1), LANES) for limit in (low, high))
        return settled(T.min(T.max(value.saturated(), low), high))


def _selected(condition: Expr, a: WordPair, b: WordPair) -> WordPair:
    return WordPair(
        settled(tirx.Select(condition, a.low, b.low)),
        settled(tirx.Select(condition, a.high, b.high)))


def _bit(condition: Expr) -> Expr:
    return settled(tirx.Select(condition, same(1), same(0)))


def _wrapped(operation: str, a: Expr, b: Expr) -> Expr:
    """Add or subtract modulo 2**32; TVM's own operators must not overflow."""
    return settled(vector.intrinsic(
        "int32", LANES, f"llvm.hexagon.V6.{operation}.128B", a, b))
