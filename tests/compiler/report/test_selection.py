"""What operator selection chose is shown: programs, layers, what was rejected, conversions."""

import copy

import pytest
from tests.chromium import assert_is_fine

from octavo.compiler.cli.selection_lines import selection_lines
from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.page import render_page
from octavo.compiler.report.selection_chart import selection_chart
from octavo.compiler.report.summary import summarize
from octavo.errors import ArtifactError


def option(candidate, cost):
    placement = candidate.split()[0]
    return {
        "candidate": candidate, "placement": placement,
        "variant": f"conv_gemm.{placement}", "cost": cost,
    }  # fmt: skip


def program(name, cost, interval=None, failure=""):
    return {
        "name": name, "cost": cost, "interval": interval,
        "failure": failure,
    }  # fmt: skip


def layer(name, chosen, *rejected):
    return {
        "name": name, "op_types": ["Conv"], "nodes": [name], "chosen": chosen,
        "rejected": list(rejected),
    }  # fmt: skip


SELECTION = {
    "device": "local",
    "num_threads": 2, "unit": "us",
    "chosen": "selected 1",
    "programs": [
        program("int8", 110.0, [109.0, 111.0]),
        program("selected 1", 100.0, [99.0, 101.0]),
        program("float32 build", 300.0),
    ],
    "candidates": [
        program("int8", 112.0),
        program("int8 winograd", None, failure="local: the program hangs"),
    ],
    "layers": [
        layer("stem", option("int8 tile 2", 7.0), option("int8", 7.5)),
        layer("narrow", option("float32", 3.0), option("int8", 5.0), option("int8 x", None)),
        layer("wide", option("int8", 50.0), option("float32", 90.0)),
        layer("odd", option("int8 tile 2", 5), option("int8 tile 3", 4.5), option("int8", 9)),
    ],
    "conversions": [
        {"tensor": "narrow:x", "kind": "dequantize", "cost": 0.5},
        {"tensor": "narrow:y", "kind": "quantize", "cost": 0.25},
    ],
}


@pytest.fixture
def selected(manifest):
    manifest["metadata"] = {"selection": copy.deepcopy(SELECTION)}
    return manifest


def test_lines_name_programs_layers_and_what_was_rejected(selected):
    summary = summarize(report_from_manifest(selected))
    assert list(selection_lines(summary.selection)) == [
        "selection       selected 1 100 us (99.0 us to 101 us), measured on local with 2"
        " threads",
        "  rejected programs: int8 110 us (109 us to 111 us) +10.0%, float32 build 300 us"
        " +200.0%",
        "  layers: 2 int8 tile 2, 1 float32, 1 int8; 2 conversions (0.75 us)",
        "  narrow takes float32, 3.00 us; rejected int8 (+2.00 us), int8 x",
        "  odd takes int8 tile 2, 5.00 us; rejected int8 tile 3 (-0.50 us), int8 (+4.00 us)",
        "  stem takes int8 tile 2, 7.00 us; rejected int8 (+0.50 us)",
    ]


def test_a_whole_other_program_leaves_layers_without_a_choice(selected):
    record = selected["metadata"]["selection"]
    record["chosen"] = "float32 build"
    for entry in record["layers"]:
        entry["rejected"].append(entry["chosen"])
        entry["chosen"] = None
    record["conversions"] = []
    report = report_from_manifest(selected)
    assert len(list(selection_lines(report.selection))) == 2
    assert "as the whole program" in render_page(report)


def test_the_page_has_every_layer_program_and_conversion(selected):
    page = render_page(report_from_manifest(selected))
    for text in (
        "Operator selection", "selected 1 (chosen)", "local: the program hangs", "narrow:x",
        "int8 &#43;2.00 us, int8 x not measured", "&#43;200.0%", "99.0 us to 101 us",
    ):  # fmt: skip
        assert text.replace("&#43;", "+") in page, text
    assert page.count("wide<small>") == 1  # among all layers, not among those that changed
    assert page.count("narrow<small>") == 2


def test_without_a_selection_there_is_no_section(manifest):
    assert "selection" not in render_page(report_from_manifest(manifest))


@pytest.mark.parametrize(
    "damage",
    [
        lambda s: s.update(chosen="another"),
        lambda s: s["layers"][0].pop("rejected"),
        lambda s: s.update(programs=[]),
    ],
)
def test_a_damaged_selection_is_a_malformed_manifest(selected, damage):
    damage(selected["metadata"]["selection"])
    with pytest.raises(ArtifactError, match=r"manifest\.json is malformed"):
        report_from_manifest(selected)


@pytest.mark.parametrize("width", [1280, 390])
def test_chromium_shows_the_section(selected, browser, tmp_path, width):
    page = tmp_path / "selection.html"
    page.write_text(render_page(report_from_manifest(selected)))
    look = browser.look(page, width)
    assert_is_fine(look, 2)  # and memory
    marks = {chart["label"]: chart["marks"] for chart in look.charts}
    # What each of the four layers takes, and the other arithmetic of narrow and of wide.
    assert marks["Cost of 4 layers"] == 6


def test_the_chart_holds_each_layer_against_the_other_arithmetic(selected):
    chart = selection_chart(report_from_manifest(selected).selection)
    assert [bar.kind for bar in chart.bars] == [
        "int8", "before", "float", "before", "int8", "int8"
    ]  # fmt: skip
    assert chart.bars[1].title == "narrow: float32 3.00 us; int8 5.00 us"
    assert chart.bars[1].height > chart.bars[2].height
    assert selection_chart(None) is None


def test_names_of_a_hostile_manifest_stay_text(selected):
    hostile = '<script>alert("x")</script>\x1b[31m\u202e'
    record = selected["metadata"]["selection"]
    record.update(device=hostile, chosen=hostile)
    record["programs"][0].update(name=hostile)
    record["candidates"][1].update(name=hostile, failure=hostile)
    record["conversions"][0].update(tensor=hostile, kind=hostile)
    record["layers"][1].update(name=hostile, op_types=[hostile])
    for option in (record["layers"][1]["chosen"], *record["layers"][1]["rejected"]):
        option.update(candidate=hostile, variant=hostile)
    report = report_from_manifest(selected)
    for text in (render_page(report), "\n".join(selection_lines(report.selection))):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script" not in render_page(report)
