"""What a search found, as a page and as lines of text."""

import copy
from pathlib import Path

import pytest
from tests.chromium import assert_is_fine
from tests.compiler.report.search_records import made_up_record

from octavo.compiler.cli.search_lines import search_lines
from octavo.compiler.report.search_page import render_search_page
from octavo.errors import DataError

SIZES = [(1280, "light"), (1280, "dark"), (390, "light"), (820, "dark")]
LONG_NAME = "/model/backbone/encoder/stage2/block11/attention/self/projection/Conv_"


@pytest.fixture
def record():
    return made_up_record()


def look_at(browser, folder, record, width, scheme="light"):
    page = folder / "search.html"
    page.write_text(render_search_page(record))
    return browser.look(page, width, scheme), page.stat().st_size


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_chromium_shows_a_search(record, browser, tmp_path, width, scheme):
    look, _ = look_at(browser, tmp_path, record, width, scheme)
    assert_is_fine(look, 3)
    marks = {chart["label"]: chart["marks"] for chart in look.charts}
    measured = sum(not point["error"] for point in record["points"])
    # Points, the line of the front, two references, the areas above the two limits.
    assert marks["Accuracy lost against latency"] == measured + 1 + 2 + 2
    assert marks["Accuracy lost against weights"] == measured + 1 + 2 + 1
    assert marks["Hypervolume over 60 evaluations"] == len(record["progress"]) + 1


def test_chromium_shows_a_long_search_of_long_names(browser, tmp_path):
    record = made_up_record(300, 24, name=LONG_NAME)
    look, num_bytes = look_at(browser, tmp_path, record, 1280, "dark")
    assert_is_fine(look, 3)
    assert num_bytes < 1_500_000


@pytest.mark.parametrize("num_points", [1, 5])
def test_chromium_shows_a_short_search_without_labels_under_an_emulator(
    browser, tmp_path, num_points
):
    record = made_up_record(num_points, 3, labels=False, unit="instructions", limits={})
    look, _ = look_at(browser, tmp_path, record, 390)
    assert_is_fine(look, 3 if num_points > 3 else 2)  # too short for a curve


def test_a_record_of_two_objectives_has_one_chart(record, browser, tmp_path):
    record["objectives"].pop()
    look, _ = look_at(browser, tmp_path, record, 1280)
    assert_is_fine(look, 2)


@pytest.mark.parametrize(
    "damage",
    [
        lambda r: r.update(schema=2),
        lambda r: r.pop("references"),
        lambda r: r["objectives"].pop(0),
        lambda r: r.update(objectives=r["objectives"][:1]),
        lambda r: r["points"][0]["objectives"].pop("latency"),
        lambda r: r["points"][0]["objectives"].update(latency=float("nan")),
        lambda r: r["points"][1].update(id=0),
        lambda r: r["front"][0].update(id=1000),
        lambda r: r["limits"].update(joules=1.0),
        lambda r: r.update(layers=[{"name": "conv"}]),
        lambda r: r.update(points=7),
    ],
)
def test_a_damaged_record_is_refused(record, damage):
    damage(record)
    with pytest.raises(DataError, match=r"search\.json is malformed"):
        render_search_page(record)


def test_names_of_a_hostile_model_stay_text(record):
    hostile = '<script>alert("x")</script>\x1b[31m\u202e'
    old = record["layers"][1]["name"]
    record.update(model=hostile, device=hostile, target=hostile, why_not_better=[hostile])
    record["layers"][1].update(name=hostile, op_types=[hostile])
    record["references"][0].update(name=hostile)
    record["sensitivities"][hostile] = record["sensitivities"].pop(old)
    for point in record["points"]:
        point["formats"][hostile] = point["formats"].pop(old)
        point["error"] = point["error"] and hostile
    page, lines = render_search_page(record), "\n".join(search_lines(record, Path("out")))
    for text in (page, lines):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\\x1b[31m" in text
    assert "<script" not in page


def test_only_plain_paths_become_links(record):
    first, second = record["front"][:2]
    second["artifact"] = "javascript:alert(1)"
    page = render_search_page(record)
    assert f'<a href="{first["artifact"]}/report.html">' in page
    assert 'href="javascript' not in page
    assert "javascript:alert(1)</small>" in page


def test_layers_tell_what_their_formats_win(record):
    chosen = next(p for p in record["points"] if p["id"] == record["best"]["id"])
    layer = record["layers"][0]["name"]
    chosen["formats"][layer] = "w4a8"
    record["sensitivities"][layer] = {
        "w8a8": {"loss": 0.001, "ms": 0.5, "bytes": 2048.0},
        "w4a8": {"loss": 0.125, "ms": 0.6, "bytes": 1024.0},
        "w2a8": {"loss": 7.5, "ms": None, "bytes": None},
    }
    page = render_search_page(record)
    assert '<span class="format bits4">w4a8</span></td><td class="n">0.12</td>' in page
    assert '<td class="n">-100 us</td><td class="n">1.00 KiB</td>' in page
    assert "w2a8 7.5" in page


def test_nothing_is_compared_with_a_reference_without_noise():
    record = made_up_record(labels=False, limits={})
    assert " dB vs float32" in render_search_page(record)
    record["references"][0]["objectives"]["noise"] = -200.0
    page = render_search_page(record)
    assert " dB vs float32" not in page
    assert " dB vs w8a8" in page
    assert "<small> vs" not in page


def test_equal_records_give_equal_pages(record):
    assert render_search_page(record) == render_search_page(copy.deepcopy(record))
