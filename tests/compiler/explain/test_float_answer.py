"""The comparison with float, against numbers that were worked out by hand."""

import pytest

from octavo.compiler.explain.float_answer import answer
from octavo.compiler.explain.step_times import NO_TIME, StepTime


def time(median, spread=0.0):
    return StepTime(median, median - spread, median + spread)


@pytest.mark.parametrize(
    ("int8", "in_float", "needed", "saved", "verdict", "ratio"),
    [
        (time(133), time(412), NO_TIME, NO_TIME, "no", 412 / 133),
        (time(130), time(90), time(10), NO_TIME, "yes", 1.3),
        # Conversions eat what float wins.
        (time(100), time(90), time(30), NO_TIME, "no", 1.2),
        # A layer at the float boundary does without the conversion that it has.
        (time(100), time(120), NO_TIME, time(60), "yes", 160 / 120),
        (time(100), time(98), NO_TIME, NO_TIME, "same", 100 / 98),
        (time(100), time(104), NO_TIME, NO_TIME, "same", 1.04),
        # A few ticks of a clock.
        (time(0.05), time(0.03), NO_TIME, NO_TIME, "same", 5 / 3),
        (time(0.05), time(0.12), NO_TIME, NO_TIME, "same", 2.4),
        # Faster at the median, but its slower half is not.
        (time(100), time(90, spread=20), NO_TIME, NO_TIME, "same", 100 / 90),
    ],
)
def test_of_times(int8, in_float, needed, saved, verdict, ratio):
    found = answer(int8, in_float, needed, saved)
    assert found.verdict == verdict
    assert found.ratio == pytest.approx(ratio)
    assert found.conversions_us == needed.latency_us
    assert found.saved_us == saved.latency_us
    assert found.layer_us == in_float.latency_us
