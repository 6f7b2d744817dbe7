"""The page is well formed, complete, escaped, and asks for nothing from outside."""

import re
from html.parser import HTMLParser

import pytest

from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.page import render_page

VOID = {"meta", "line", "rect", "polyline", "i", "br"}
HOSTILE = '<script>alert("x")</script><img src=x onerror=1>\x1b[31m\u202e'


class _Page(HTMLParser):
    """Collects tags and text, and checks that tags nest."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def parse(html):
    page = _Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


@pytest.fixture
def full(manifest, layer_errors):
    return report_from_manifest(
        manifest, errors=layer_errors, samples_us=[[10.0, 20.0, 30.0], [5.0, 6.0, 7.0]]
    )


def test_page_shows_every_step_layer_buffer_and_reason(full):
    text = " ".join(parse(render_page(full)).words)
    for word in ("stem/conv", "head/softmax", "no integer kernel for axis 1", "head/fc"):
        assert word in text
    for buffer in ("input", "hidden", "output"):
        assert re.search(rf"\b{buffer}\b", text)
    assert "12.5 dB" in text
    assert "exact" in text
    assert "26.0 us" in text  # the median of 15, 26 and 37


def test_page_has_one_bar_per_layer_step_and_buffer(full):
    bars = [tag for tag, _ in parse(render_page(full)).tags if tag == "rect"]
    # Steps have a bar for their time, and one for what they are together.
    assert len(bars) == len(full.errors) + 2 * len(full.steps) + len(full.buffers)


def test_page_has_a_dot_for_each_step_and_names_the_next_bottleneck(manifest, make_peaks):
    samples_us = [[10.0], [5.0]]
    report = report_from_manifest(manifest, samples_us=samples_us, peaks=[make_peaks()])
    page = parse(render_page(report))
    assert [tag for tag, _ in page.tags].count("circle") == len(report.steps)
    text = " ".join(page.words)
    assert "Next bottleneck: stem/conv (conv_gemm), 66.7% of the time" in text
    assert "Peaks, 1 thread: int8 400, float32 100 GMAC/s" in text
    assert "0: stem/conv, 10.0 us, 0 GMAC/s, 1% of its roof (overhead), 9.88 us to win" in text


def test_page_without_peaks_says_how_to_get_them(full):
    page = parse(render_page(full))
    assert "circle" not in {tag for tag, _ in page.tags}
    assert "measures the kernels and the peaks of the machine" in " ".join(page.words)


def test_page_without_measurements_says_how_to_get_them(manifest):
    page = parse(render_page(report_from_manifest(manifest)))
    text = " ".join(page.words)
    assert "octavo profile DIR --report FILE.html" in text
    assert "no error to show" in text


def test_names_of_a_hostile_model_stay_text(manifest, layer_errors, make_peaks):
    manifest["name"] = manifest["target"] = HOSTILE
    for step in manifest["steps"]:
        step.update(name=HOSTILE, variant=HOSTILE, reason=HOSTILE, op_types=[HOSTILE])
        step["kernel"] = HOSTILE
    for buffer in manifest["memory"]["buffers"]:
        buffer["name"] = HOSTILE
    for error in layer_errors:
        error.update(layer=HOSTILE, op_type=HOSTILE)
    manifest["files"] = manifest["versions"] = {HOSTILE: HOSTILE}
    html = render_page(
        report_from_manifest(
            manifest, errors=layer_errors, samples_us=[[1], [1]], peaks=[make_peaks()]
        )
    )
    page = parse(html)
    assert {tag for tag, _ in page.tags} & {"script", "img"} == set()
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert "\x1b" not in html
    assert "\u202e" not in html


def test_page_loads_nothing(full):
    page = parse(render_page(full))
    assert not [
        a for _, a in page.tags if "src" in a or not a.get("href", "#").startswith("#")
    ]
    assert "url(" not in render_page(full)
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "script" not in policy


def test_links_lead_to_sections(full):
    tags = parse(render_page(full)).tags
    ids = {attrs["id"] for _, attrs in tags if "id" in attrs}
    assert {attrs["href"].removeprefix("#") for _, attrs in tags if "href" in attrs} == ids


def test_equal_reports_give_equal_pages(full):
    assert render_page(full) == render_page(full)
