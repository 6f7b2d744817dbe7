"""Least times of steps, worked out by hand from round peaks."""

import pytest

from octavo.compiler.roofline.bounds import step_bound
from octavo.compiler.roofline.roofline import MeasuredStep, measured_roofline
from octavo.compiler.roofline.traffic import Traffic

SMALL, LARGE = 5000, 1 << 20  # bytes of programs that fit the second level, and none


def bound(peaks, macs, traffic, *, placement="int8", program_bytes=SMALL):
    return step_bound(macs, placement, Traffic(*traffic), program_bytes, [peaks])


def test_products_bound_a_step_that_has_many_for_its_bytes(make_peaks):
    # 800,000 products at 400 a nanosecond; 500 bytes at 200.
    found = bound(make_peaks(), 800_000, (300, 0, 200))
    assert found.bound_by == "compute"
    assert found.compute_us == pytest.approx(2.0)
    assert found.memory_us == pytest.approx(0.0025)
    assert found.roof_us == pytest.approx(2.1)


def test_float_is_held_against_the_peak_of_float(make_peaks):
    found = bound(make_peaks(), 800_000, (300, 0, 200), placement="float32")
    assert found.compute_us == pytest.approx(8.0)


def test_activations_come_from_the_level_that_holds_the_step(make_peaks):
    # 8,000 bytes of activations with 1,000 of weights: the second level, at 100.
    found = bound(make_peaks(), 0, (6000, 1000, 2000))
    assert found.memory_us == pytest.approx(0.08 + 0.01)
    # 9,500 with them: main memory, at 10; a call is shorter.
    found = bound(make_peaks(), 0, (6000, 2500, 2000))
    assert (found.bound_by, found.memory_us) == ("memory", pytest.approx(0.8 + 0.025))


def test_weights_come_from_the_level_that_holds_the_program(make_peaks):
    # 100 bytes of activations at 200, 800 of weights at 10: they were read a run ago.
    found = bound(make_peaks(), 0, (50, 8000, 50), program_bytes=LARGE)
    assert found.memory_us == pytest.approx(0.001 + 0.8)
    assert found.bound_by == "memory"


def test_the_call_bounds_a_tiny_step(make_peaks):
    found = bound(make_peaks(), 400, (50, 10, 40))
    assert found.bound_by == "overhead"
    assert found.roof_us == pytest.approx(0.1 + 0.001)


@pytest.mark.parametrize(("macs", "threads"), [(400_000, 1), (40_000_000, 4)])
def test_a_short_step_is_better_off_in_one_thread(make_peaks, macs, threads):
    peaks = [make_peaks(1), make_peaks(4)]
    found = step_bound(macs, "int8", Traffic(100, 100, 100), SMALL, peaks)
    assert found.num_threads == threads
    least = {1: 0.1 + macs / 400e3, 4: 2.0 + macs / 1600e3}
    assert found.roof_us == pytest.approx(min(least.values())) == pytest.approx(least[threads])


def test_a_measured_step_against_its_bound(make_peaks):
    steps = [
        MeasuredStep(800_000, "int8", Traffic(300, 0, 200), latency_us=4.2),
        MeasuredStep(0, "int8", Traffic(300, 0, 200), latency_us=0.05),
    ]
    roofline = measured_roofline(steps, SMALL, [make_peaks()])
    product, copy = roofline.steps
    assert product.gmacs_per_s == pytest.approx(800 / 4.2)
    assert product.peak_share == pytest.approx(800 / 4.2 / 400)
    assert product.gbytes_per_s == pytest.approx(0.5 / 4.2)
    assert product.macs_per_byte == 1600
    assert product.roof_share == pytest.approx(0.5)
    assert product.gain_us == pytest.approx(2.1)
    # Measured below its roof, as noise may have it: nothing to win, and nothing is hidden.
    assert copy.gain_us == 0
    assert copy.roof_share == pytest.approx(0.1025 / 0.05)
    assert copy.bound_by == "overhead"
    assert roofline.gain_us == pytest.approx(2.1)


def test_a_step_faster_than_the_clock_has_finite_rates(make_peaks):
    step = MeasuredStep(400, "int8", Traffic(10, 0, 10), latency_us=0.0)
    found = measured_roofline([step], SMALL, [make_peaks()]).steps[0]
    assert found.roof_share == 1
    assert found.gain_us == 0
