"""Where points, the front and limits of a search stand in its charts."""

import pytest
from tests.compiler.report.search_records import made_up_record

from octavo.compiler.report.charts import HEIGHT as CURVE_HEIGHT
from octavo.compiler.report.charts import WIDTH
from octavo.compiler.report.convergence_chart import MAX_DOTS, convergence_chart
from octavo.compiler.report.search_chart import HEIGHT, pareto_charts
from octavo.compiler.report.search_document import search_record


def charts_of(document):
    return pareto_charts(search_record(document))


@pytest.fixture
def document():
    return made_up_record()


def test_every_measured_point_is_drawn_once(document):
    measured = sorted(p["id"] for p in document["points"] if not p["error"])
    for chart in charts_of(document):
        drawn = sorted(int(dot.title[1:].partition(":")[0]) for dot in chart.dots)
        assert drawn == measured
        assert all(0 <= dot.x <= WIDTH and 0 <= dot.y <= HEIGHT for dot in chart.dots)


def test_the_chosen_point_is_drawn_last_and_named(document):
    for chart in charts_of(document):
        assert chart.dots[-1].kind == "chosen"
        assert chart.dots[-1].title.startswith(f"#{document['best']['id']}:")
        names = [label.text for label in chart.labels]
        assert f"chosen, #{document['best']['id']}" in names
        assert {"float32", "w8a8"} <= set(names)


def test_the_stairs_fall_and_no_point_of_the_front_is_below_them(document):
    for chart in charts_of(document):
        xs, ys = zip(*chart.stairs, strict=True)
        assert list(xs) == sorted(xs)
        assert list(ys) == sorted(ys)  # y grows downwards, where less is lost
        front = [dot for dot in chart.dots if dot.kind in {"front", "missed", "chosen"}]
        for dot in front:
            reached = max((y for x, y in chart.stairs if x <= dot.x + 1e-9), default=0.0)
            assert dot.y <= reached + 1e-9
        on = sum((dot.x, dot.y) in chart.stairs for dot in front)
        assert on + chart.num_beside == len(front)


def test_areas_above_limits_do_not_overlap_and_hold_the_right_points(document):
    latency, _ = charts_of(document)
    right, upper = latency.refused
    assert right.x + right.width == pytest.approx(WIDTH)
    assert upper.width == pytest.approx(right.x)
    for dot in latency.dots:
        is_refused = dot.x > right.x or dot.y < upper.height
        if dot.kind == "missed":
            assert is_refused
        if dot.kind in {"front", "chosen"}:
            assert not is_refused


def test_a_limit_far_from_everything_is_told_and_not_drawn(document):
    for limit, text in ((1000.0, "1.00 s"), (1e-3, "1.00 us")):
        document["limits"] = {"latency": limit}
        latency, weights = charts_of(document)
        assert latency.refused == weights.refused == ()
        assert latency.outside == (f"latency {text}",)
        assert weights.outside == ()


def test_outputs_without_any_noise_do_not_stretch_the_scale():
    document = made_up_record(labels=False, limits={})
    document["references"][0]["objectives"]["noise"] = -200.0
    chart = charts_of(document)[0]
    labels = [mark.label for mark in chart.y_marks]
    assert labels[0] != "-200 dB"
    assert not any(float(label.removesuffix(" dB")) < -60 for label in labels)
    float_reference = next(d for d in chart.references if d.title.startswith("float32"))
    assert float_reference.y == pytest.approx(HEIGHT)
    assert "exact" in float_reference.title


def test_tooltips_name_formats_but_not_sixty_layers():
    document = made_up_record(20, 60)
    titles = [dot.title for dot in charts_of(document)[0].dots]
    assert "#0: accuracy lost" in titles[-1] + titles[0] + " ".join(titles)
    assert any("; all w8a8" in title for title in titles)
    assert max(map(len, titles)) < 400


def test_a_search_whose_points_all_failed_has_no_chart(document):
    for point in document["points"]:
        point.update(error="local: the program hangs", objectives={})
    document.update(front=[], best=None, progress=[])
    record = search_record(document)
    assert pareto_charts(record) == []
    assert convergence_chart(record) is None


def test_the_curve_rises_to_its_last_dot(document):
    document["progress"] = [
        {"evaluations": n, "hypervolume": 1 - 1 / n} for n in range(1, 300)
    ]
    curve = convergence_chart(search_record(document))
    heights = [CURVE_HEIGHT - y for _, y in curve.points]
    assert heights == sorted(heights)
    assert len(curve.dots) <= MAX_DOTS + 1
    assert curve.dots[-1].x == pytest.approx(WIDTH)
    assert curve.dots[-1].title == "299 evaluations: 0.9967 (100.0% of the last)"
