import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from octavo.compiler.report.charts import (
    HEIGHT,
    MIN_BAR,
    WIDTH,
    column_chart,
    live_bytes,
    memory_chart,
    nice_steps,
)
from octavo.compiler.report.manifest import report_from_manifest


@given(st.floats(1e-6, 1e9))
def test_scale_covers_the_maximum_with_few_steps(maximum):
    steps = nice_steps(maximum)
    assert steps[0] == 0
    assert steps[-1] >= maximum * (1 - 1e-12)  # a step is rounded to a float
    assert steps[-2] < maximum
    assert 3 <= len(steps) <= 7


@given(st.lists(st.floats(-100, 1e6) | st.just(float("inf")), min_size=1, max_size=50))
@example([1e-310])
@example([0.0, float("inf")])
def test_columns_stay_inside_the_chart(values):
    kinds = ["int8"] * len(values)
    chart = column_chart(values, kinds, [""] * len(values), unit="us", line=values)
    for bar in chart.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + MIN_BAR
        assert bar.y >= -1e-6
        assert bar.y + bar.height == pytest.approx(HEIGHT)
    assert all(0 <= x <= WIDTH and -1e-6 <= y <= HEIGHT for x, y in chart.points)


def test_column_heights_are_in_proportion():
    low, high = column_chart([10.0, 20.0], ["a", "a"], ["", ""], unit="dB").bars
    assert high.height == pytest.approx(2 * low.height)


def test_live_bytes_add_up_what_is_needed_at_each_step(manifest):
    report = report_from_manifest(manifest)
    assert live_bytes(report.buffers, 2) == [1024 + 2048, 2048 + 512]


def test_buffers_that_do_not_overlap_in_the_arena_do_not_overlap_in_the_drawing(manifest):
    chart = memory_chart(report_from_manifest(manifest))
    first, hidden, output = chart.bars
    assert first.y == pytest.approx(
        hidden.y + hidden.height
    )  # hidden lies on top of the input
    assert hidden.y == pytest.approx(output.y + output.height)
    assert (first.x, first.width) == (0, WIDTH / 2)
    assert (output.x, output.width) == (WIDTH / 2, WIDTH / 2)
