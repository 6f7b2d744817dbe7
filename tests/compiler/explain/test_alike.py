"""Equal layers together."""

import pytest

from octavo.compiler.explain.alike import alike
from octavo.compiler.explain.causes import Cause
from octavo.compiler.explain.explanation import LayerExplanation
from octavo.compiler.explain.float_answer import answer
from octavo.compiler.explain.step_times import NO_TIME, StepTime


def layer(index, function, latency_us, float_us):
    return LayerExplanation(
        f"layer{index}", (f"layer{index}",), ("Conv",), index, function, "int8", "v",
        latency_us, latency_us / 100, 50, latency_us / 2, "compute",
        (Cause("padding", "", 1.0), Cause("shallow", "")),
        answer(time(latency_us), time(float_us), NO_TIME, NO_TIME), 0.0, ())  # fmt: skip


def time(latency_us):
    return StepTime(latency_us, latency_us, latency_us)


def test_equal_layers_add_up():
    layers = [layer(3, "f", 12.0, 40.0), layer(0, "g", 11.0, 30.0), layer(1, "f", 10.0, 41.0)]
    (first, num_first), (second, num_second) = alike(layers)
    assert (first.name, num_first) == ("layer1", 2)
    assert (first.latency_us, first.macs, first.roof_us) == (22.0, 100, 11.0)
    assert first.share == pytest.approx(0.22)
    assert first.float_answer.float_us == 81.0
    assert [cause.cost_us for cause in first.causes] == [2.0, None]
    assert (second.name, num_second) == ("layer0", 1)


def test_different_answers_stay_apart():
    found = alike([layer(0, "f", 10.0, 40.0), layer(1, "f", 10.0, 5.0)])
    assert [count for _, count in found] == [1, 1]
