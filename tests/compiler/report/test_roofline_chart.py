"""The chart shows rates where they are, and the page shows the chart."""

import math
from dataclasses import replace

import pytest

from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.page import render_page
from octavo.compiler.report.roofline_chart import HEIGHT, WIDTH, roofline_chart

SAMPLES_US = [[3.0], [1.0]]  # of 900 and of 100 products: 1800 and 600 bytes


@pytest.fixture
def report(manifest, make_peaks):
    return report_from_manifest(manifest, samples_us=SAMPLES_US, peaks=[make_peaks()])


def test_places_are_logarithms_of_rates(report):
    chart = roofline_chart(report)
    first, second = chart.dots  # 0.5 products a byte at 0.3 GMAC/s; 1/6 at 0.1
    (x1, y1), (x2, y2) = ((float(m.label), m.at) for m in chart.x_marks[:2])
    per_decade_x = (y2 - y1) / math.log10(x2 / x1)
    assert first.x - second.x == pytest.approx(per_decade_x * math.log10(3))
    (v1, at1), (v2, at2) = ((float(m.label), m.at) for m in chart.y_marks[:2])
    per_decade_y = (at1 - at2) / math.log10(v2 / v1)
    assert second.y - first.y == pytest.approx(per_decade_y * math.log10(3))


def test_area_is_in_proportion_to_time(report):
    first, second = roofline_chart(report).dots
    assert (first.radius / second.radius) ** 2 == pytest.approx(3.0)
    assert (first.kind, second.kind) == ("int8", "float")


def test_everything_is_inside(report):
    chart = roofline_chart(report)
    assert all(0 < d.x < WIDTH and 0 < d.y < HEIGHT for d in chart.dots)
    for roof in chart.roofs:
        assert 0 <= roof.x1 < roof.x2 <= WIDTH
        assert all(-1e-6 <= y <= HEIGHT + 1e-6 for y in (roof.y1, roof.y2))
    assert all(0 <= m.at <= WIDTH for m in chart.x_marks)
    assert all(-1e-6 <= m.at <= HEIGHT for m in chart.y_marks)


def test_each_level_and_each_arithmetic_has_a_roof(report):
    labels = {roof.label for roof in roofline_chart(report).roofs}
    assert labels == {
        "L1 200 GB/s", "L2 100 GB/s", "memory 10 GB/s", "int8 400 GMAC/s", "float32 100 GMAC/s"
    }  # fmt: skip


def test_a_bandwidth_ends_where_the_arithmetic_limits(report):
    roofs = {roof.label.split()[0]: roof for roof in roofline_chart(report).roofs}
    for level in ("L1", "L2", "memory"):
        assert roofs[level].y2 == pytest.approx(roofs["int8"].y1)
    # Twice the rate reaches it at half the intensity: equal distances at equal ratios.
    per_decade = (roofs["memory"].x2 - roofs["L2"].x2) / math.log10(100 / 10)
    assert roofs["L2"].x2 - roofs["L1"].x2 == pytest.approx(per_decade * math.log10(2))


def test_steps_without_products_are_counted_and_not_drawn(manifest, make_peaks):
    manifest["steps"][1]["macs"] = 0
    report = report_from_manifest(manifest, samples_us=SAMPLES_US, peaks=[make_peaks()])
    chart = roofline_chart(report)
    assert len(chart.dots) == chart.hidden_steps == 1
    assert chart.hidden_share == pytest.approx(0.25)
    assert "float32 100 GMAC/s" not in {roof.label for roof in chart.roofs}


def test_without_products_or_peaks_there_is_no_chart(manifest, report):
    assert roofline_chart(replace(report, roofline=None)) is None
    for step in manifest["steps"]:
        step["macs"] = 0
    peaks = report.roofline.peaks
    silent = report_from_manifest(manifest, samples_us=SAMPLES_US, peaks=peaks)
    assert roofline_chart(silent) is None


def test_steps_that_save_products_are_said_to_stand_above(manifest, make_peaks):
    manifest["steps"][0]["macs"] *= 2000  # 600 GMAC/s; the peak is 400
    report = report_from_manifest(manifest, samples_us=SAMPLES_US, peaks=[make_peaks()])
    assert roofline_chart(report).steps_above == 1
    assert "Above the line is 1 step whose kernels" in render_page(report)
