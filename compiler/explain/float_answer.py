"""Would float be faster for one layer? From measured times of both, conversions included."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from octavo.compiler.explain.step_times import StepTime

MIN_GAIN = 0.05  # differences below this count as none: two profiles differ by as much
MIN_GAIN_US = 0.1  # nor do some ticks of the clocks around steps, which count in tens of ns


class Verdict(StrEnum):
    """The answer in one word."""

    YES = "yes"
    NO = "no"
    SAME = "same"


@dataclass(frozen=True)
class FloatAnswer:
    """What is known of a layer in float.

    Attributes:
        verdict: Whether float would be faster, with the conversions that it needs there.
        int8_us: Time of the integer layer, and of conversions that float there would save.
        float_us: Time of the float layer, and of conversions that it would need.
        layer_us: Of these, the float layer alone.
        conversions_us: Of these, the conversions.
        saved_us: Conversions that are in ``int8_us``.
    """

    verdict: Verdict
    int8_us: float
    float_us: float
    layer_us: float
    conversions_us: float
    saved_us: float

    @property
    def ratio(self) -> float:
        """How many times longer the slower one takes, at least 1."""
        slow, fast = max(self.int8_us, self.float_us), min(self.int8_us, self.float_us)
        return slow / fast if fast else 1.0


def sum_of(answers: Sequence[FloatAnswer]) -> FloatAnswer:
    """The answer for layers together that have the same verdict.

    Args:
        answers: At least one.
    """
    return FloatAnswer(answers[0].verdict, *(
        sum(getattr(one, name) for one in answers)
        for name in ("int8_us", "float_us", "layer_us", "conversions_us", "saved_us")))


def answer(
    int8: StepTime, in_float: StepTime, needed: StepTime, saved: StepTime
) -> FloatAnswer:
    """Compare.

    Args:
        int8: The layer as it is.
        in_float: The layer in float.
        needed: Conversions that it would need there.
        saved: Conversions that it would not need any more.
    """
    int8_us = int8.latency_us + saved.latency_us
    float_us = in_float.latency_us + needed.latency_us
    least_us = max(MIN_GAIN * int8_us, MIN_GAIN_US)
    # Float is faster only when that shows in the slower half of its runs, too.
    if float_us < int8_us - least_us and in_float.high_us + needed.high_us < int8_us:
        verdict = Verdict.YES
    elif float_us <= int8_us + least_us:
        verdict = Verdict.SAME
    else:
        verdict = Verdict.NO
    return FloatAnswer(
        verdict, int8_us, float_us, in_float.latency_us, needed.latency_us, saved.latency_us)
