import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from octavo.passes.observers.choose import OBSERVERS, make_observer
from octavo.passes.observers.histogram import NUM_BINS, Histogram
from octavo.passes.observers.mse import squared_error
from octavo.passes.observers.softmax_input import SoftmaxInputObserver
from octavo.passes.quant_math import choose_qparams, dequantize, quantize

# Products of denormal numbers are flushed to zero on some machines.
FLOATS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
ARRAYS = hnp.arrays(np.float32, st.integers(1, 50), elements=FLOATS)


def observe(name, *arrays):
    observer = make_observer(name)
    for array in arrays:
        observer.observe(array)
    return observer.range()


@given(st.lists(ARRAYS, min_size=1, max_size=5))
def test_histogram_counts_everything_in_any_order(arrays):
    forward, backward = Histogram(), Histogram()
    for array in arrays:
        forward.add(array)
    for array in reversed(arrays):
        backward.add(array)
    edges, counts = forward.bins()
    assert counts.sum() == sum(array.size for array in arrays)
    assert counts.size <= NUM_BINS
    np.testing.assert_array_equal(counts, backward.bins()[1])
    np.testing.assert_array_equal(edges, backward.bins()[0])


@given(st.lists(ARRAYS, min_size=1, max_size=4))
def test_histogram_is_the_one_of_all_values_together(arrays):
    histogram = Histogram()
    for array in arrays:
        histogram.add(array)
    edges, counts = histogram.bins()
    values = np.concatenate([array.reshape(-1) for array in arrays]).astype(np.float64)
    inner = edges[1:-1]
    expected = np.bincount(np.searchsorted(inner, values, side="right"), minlength=counts.size)
    np.testing.assert_array_equal(counts, expected)


def test_histogram_memory_does_not_grow():
    histogram = Histogram()
    for exponent in range(30):
        histogram.add(np.float32([-(2.0**exponent), 3.0**exponent]))
    assert histogram._counts.size == NUM_BINS


def test_min_max_is_the_hull():
    assert observe("minmax", np.float32([1, 2]), np.float32([-3])) == (-3.0, 2.0)


def test_moving_average_follows_with_momentum():
    low, high = observe("moving_average", np.float32([0, 1]), np.float32([-1, 2]))
    assert low == pytest.approx(-0.1)
    assert high == pytest.approx(1.1)


def test_percentile_leaves_out_rare_values(rng):
    x = rng.normal(size=200_000).astype(np.float32)
    x[:5] = 1000.0
    low, high = observe("percentile:99.9", x)
    exact = np.quantile(x, [0.001, 0.999])
    # The outliers make bins of 1004 / 1024 or twice that.
    assert np.abs(np.array([low, high]) - exact).max() < 2.0
    assert observe("percentile:100", x)[1] == 1000.0


def test_mse_cuts_an_outlier_when_that_costs_less(rng):
    x = rng.normal(size=100_000).astype(np.float32)
    x[0] = 40.0
    low, high = observe("mse", x)
    assert high < 36.0

    def error(limits):
        params = choose_qparams(*limits)
        q = quantize(x, params.scale, params.zero_point, params.dtype)
        return ((dequantize(q, params.scale, params.zero_point) - x) ** 2).mean()

    assert error((low, high)) < error((float(x.min()), float(x.max())))


def test_squared_error_is_the_measured_one(rng):
    x = rng.normal(size=100_000).astype(np.float32)
    histogram = Histogram()
    histogram.add(x)
    params = choose_qparams(-2.0, 2.0)
    q = quantize(x, params.scale, params.zero_point, params.dtype)
    measured = ((dequantize(q, params.scale, params.zero_point) - x).astype(float) ** 2).sum()
    # Bins are spread evenly in the estimate: 2% at 1024 and more bins.
    assert squared_error(*histogram.bins(), -2.0, 2.0) == pytest.approx(measured, rel=0.02)


def test_entropy_keeps_a_uniform_range_and_cuts_a_long_tail(rng):
    uniform = rng.uniform(-1, 1, 100_000).astype(np.float32)
    low, high = observe("entropy", uniform)
    assert low < -0.9
    assert high > 0.9
    tailed = np.concatenate([uniform, np.float32([30.0, 25.0])])
    assert observe("entropy", tailed)[1] < 15.0


@pytest.mark.parametrize("name", OBSERVERS)
def test_infinity_and_nan_are_reported_as_an_infinite_range(name):
    for bad in (np.inf, -np.inf, np.nan):
        low, high = observe(name, np.float32([0, 1]), np.float32([bad, 0]))
        assert not (np.isfinite(low) and np.isfinite(high))


@pytest.mark.parametrize("name", OBSERVERS)
def test_constant_tensors_have_their_value_as_range(name):
    assert observe(name, np.zeros(7, np.float32)) == (0.0, 0.0)
    low, high = observe(name, np.full(7, 2.5, np.float32))
    assert min(low, 0.0) == 0.0
    assert high == pytest.approx(2.5, rel=0.01)


@pytest.mark.parametrize("name", OBSERVERS)
@settings(max_examples=30)
@given(data=st.lists(ARRAYS, min_size=1, max_size=3))
def test_every_observer_stays_within_the_hull(name, data):
    low, high = observe(name, *data)
    values = np.concatenate(data)
    slack = 1e-6 * max(1.0, float(np.abs(values).max()))
    assert min(low, 0.0) >= min(float(values.min()), 0.0) - slack
    assert max(high, 0.0) <= max(float(values.max()), 0.0) + slack


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("max", "known: minmax"),
        ("percentile:x", "not a number"),
        ("percentile:20", "above 50"),
        ("mse:3", "number is allowed after"),
        ("moving_average:1", "number is allowed after"),
    ],
)
def test_unknown_names_and_numbers_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        make_observer(name)


def test_masked_scores_do_not_widen_the_range():
    observer = SoftmaxInputObserver(make_observer("minmax"), axis=-1)
    observer.observe(np.float32([[1.0, 3.0, -1e4], [0.5, -np.inf, -2.0]]))
    assert observer.range() == (-15.5, 3.0)
