import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from octavo.passes.observers.by_degree import DegreeObserver
from octavo.passes.observers.choose import make_observer, protected_share


def observed(x: np.ndarray, degrees: list[int]) -> DegreeObserver:
    observer = DegreeObserver()
    observer.observe(np.asarray(x, np.float32), np.asarray(degrees, np.int64))
    return observer


def test_one_hub_does_not_set_the_scale_of_everyone(rng):
    x = rng.standard_normal((1000, 8)).astype(np.float32)
    x[0] *= 1000.0
    low, high = observed(x, [1000, *[3] * 999]).range()
    assert -20.0 < low < -2.0
    assert 2.0 < high < 20.0


def test_protected_hubs_are_inside(rng):
    x = rng.standard_normal((1000, 8)).astype(np.float32)
    x[0] *= 1000.0
    low, high = observed(x, [1000, *[3] * 999]).range(protected=0.001)
    assert low <= x.min()
    assert high >= x.max()


def test_large_values_of_ordinary_nodes_count(rng):
    x = rng.standard_normal((1000, 8)).astype(np.float32)
    x[::2] *= 50.0  # half of the nodes, all of one degree
    low, high = observed(x, [3] * 1000).range()
    assert low < -100.0
    assert high > 100.0


def test_nodes_without_edges_are_a_class_of_their_own(rng):
    x = rng.standard_normal((100, 4)).astype(np.float32)
    x[:2] *= 0.01
    assert observed(x, [0, 0, *[1] * 98]).range()[1] > 1.0


@given(
    hnp.arrays(np.float32, (6, 2), elements=st.floats(-1e4, 1e4, width=32)),
    st.lists(st.integers(0, 10**6), min_size=6, max_size=6),
    st.floats(0.0, 1.0),
)
@settings(max_examples=40, deadline=None)
def test_the_range_lies_inside_the_extremes_and_holds_zero(x, degrees, share):
    low, high = observed(x, degrees).range(share)
    # One step of float32 for the products with shares.
    assert min(0.0, float(x.min())) * (1 + 1e-6) <= low <= 0.0
    assert 0.0 <= high <= max(0.0, float(x.max())) * (1 + 1e-6)


def test_the_order_of_samples_has_no_influence(rng):
    x = rng.standard_normal((2, 50, 4)).astype(np.float32)
    degrees = rng.integers(0, 40, (2, 50))
    ranges = []
    for order in ((0, 1), (1, 0)):
        observer = DegreeObserver()
        for i in order:
            observer.observe(x[i], degrees[i])
        ranges.append(observer.range(0.01))
    assert ranges[0] == pytest.approx(ranges[1])


def test_infinity_has_no_range():
    x = np.array([[1.0], [np.inf]], np.float32)
    assert observed(x, [1, 2]).range() == (-np.inf, np.inf)


def test_zeros_have_a_range_of_zero_width():
    assert observed(np.zeros((4, 2)), [1, 2, 3, 4]).range() == (0.0, 0.0)


def test_the_share_to_protect_is_part_of_the_name():
    assert protected_share("degree") == 0.0
    assert protected_share("degree:2") == 0.02
    assert protected_share("percentile:99") is None
    with pytest.raises(ValueError, match=r"degree: \(0..100\)"):
        make_observer("degree:101")
