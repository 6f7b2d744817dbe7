"""What a real search shows: lines, data and a page that agree with each other."""

import json
from pathlib import Path

from tests.chromium import assert_is_fine

from octavo.compiler.cli.search_lines import search_lines
from octavo.compiler.report.search_page import render_search_page

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
OPTIONS = (
    "search", DIGITS / "digits.onnx", "--target", "host", "--data", DIGITS / "test.npz",
    "--device", "none", "--formats", "w8a8,w4a8,w2a8", "--max-size", "20KB",
    "--max-samples", 32, "--rounding", "nearest", "--budget", 6,
)  # fmt: skip


def test_a_search_of_the_digits_network(octavo, browser, tmp_path):
    folder = tmp_path / "found"
    outcome = octavo(*OPTIONS, "-o", folder)
    assert outcome.code == 0, outcome.err
    record = json.loads((folder / "search.json").read_text())
    # The terminal breaks long lines.
    assert outcome.out.split() == " ".join(search_lines(record, folder)).split()
    assert "chosen          #" in outcome.out
    assert "  within the limits: weights 19.53 KiB" in outcome.out
    assert f"report          {folder}" in outcome.out
    first, *_, last = outcome.err.splitlines()
    assert first.startswith("measure accuracy ")
    assert "; best so far: accuracy lost " in last

    page = folder / "report.html"
    assert page.read_text() == render_search_page(record)
    look = browser.look(page, 1280)
    assert_is_fine(look, 2)
    marks = {chart["label"]: chart["marks"] for chart in look.charts}
    # Points, two references, the area above the limit, and the line of more than one point.
    has_line = len(record["front"]) > 1
    assert marks["Accuracy lost against weights"] == len(record["points"]) + 3 + has_line

    again = octavo(*OPTIONS, "-o", folder, "--resume", "--json")
    assert again.code == 0, again.err
    assert again.json == record
