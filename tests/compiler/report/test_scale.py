from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.compiler.report.scale import fit_scale

GAP = 60.0
LENGTH = 900.0
UNITS = ("points", "dB", "ms", "B", "instructions")
POSITIVE = st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=20)
ANY = st.lists(st.floats(-100, 100), min_size=1, max_size=20)


@given(
    st.sampled_from(UNITS).flatmap(
        lambda unit: st.tuples(st.just(unit), ANY if unit in UNITS[:2] else POSITIVE)
    )
)
def test_values_and_marks_are_on_the_axis_in_order(case):
    unit, values = case
    scale = fit_scale(values, LENGTH, unit)
    places = [scale.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= LENGTH * (1 + 1e-9) for place in places)
    assert all(scale.holds(value) for value in values)
    marks = [at for at, _ in scale.marks(GAP)]
    assert marks
    assert all(0 <= at <= LENGTH * (1 + 1e-9) for at in marks)
    assert all(b - a >= GAP * (1 - 1e-9) for a, b in pairwise(marks))
    labels = [label for _, label in scale.marks(GAP)]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("values", "unit", "kind", "labels"),
    [
        ([1.2, 3.4], "ms", "linear", ["1.2 ms", "1.4 ms"]),
        ([0.2, 0.3], "ms", "linear", ["200 us", "210 us"]),
        ([1.0, 100.0], "ms", "log", ["1 ms", "2 ms"]),
        ([50_000, 900_000], "B", "log", ["64 KiB", "128 KiB"]),
        ([0.0, 0.5], "points", "linear", ["-0.3", "-0.2"]),
        ([-0.3, 80.0], "points", "stretched", ["-0.5", "-0.2"]),
        ([-40.0, -20.0], "dB", "linear", ["-40 dB", "-38 dB"]),
        ([2e6, 4e6], "instructions", "linear", ["2 M", "2.2 M"]),
    ],
)  # fmt: skip
def test_scales_fit_what_they_show(values, unit, kind, labels):
    scale = fit_scale(values, LENGTH, unit)
    assert scale.kind == kind
    assert [label for _, label in scale.marks(GAP)][:2] == labels


def test_a_stretched_scale_gives_small_losses_room():
    scale = fit_scale([0.0, 80.0], LENGTH, "points")
    assert scale.at(1.0) - scale.at(0.0) > 0.25 * LENGTH


def test_values_beyond_the_ends_are_put_there():
    scale = fit_scale([1.0, 2.0], LENGTH, "ms")
    assert scale.at(0.0) == 0
    assert scale.at(50.0) == pytest.approx(LENGTH)
    assert not scale.holds(50.0)


def test_equal_values_have_a_scale():
    assert fit_scale([0.0], LENGTH, "B").at(0.0) == pytest.approx(LENGTH / 2)
    assert fit_scale([3.0, 3.0], LENGTH, "ms").at(3.0) == pytest.approx(LENGTH / 2)
