"""Profiles survive being written and read; what is no profile is named."""

import copy
import csv
import json
from io import StringIO

import pytest

from octavo.compiler.cli.console import to_json_value
from octavo.compiler.report.comparison import compare_profiles
from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.origin import Origin
from octavo.compiler.report.page import render_comparison
from octavo.compiler.report.profile_csv import COLUMNS, profile_csv
from octavo.compiler.report.profile_document import (
    profile_document,
    profile_of,
    read_profile,
)
from octavo.errors import DataError

ORIGIN = Origin("ssh://board", "a CPU", 2, "zeros", "2026-01-01T00:00:00+00:00", ("busy",))


@pytest.fixture
def report(manifest, make_peaks):
    return report_from_manifest(
        manifest,
        samples_us=[[10.0, 20.0, 30.0, 40.0], [5.0, 6.0, 7.0, 8.0]],
        round_sizes=[4],
        peaks=[make_peaks()],
    )


def write(path, document):
    path.write_text(json.dumps(to_json_value(document), allow_nan=False))
    return path


def test_a_profile_that_was_written_is_read_again(report, tmp_path):
    path = write(tmp_path / "profile.json", profile_document(report, ORIGIN))
    assert read_profile(path) == profile_of(report, ORIGIN)


def test_the_page_in_the_folder_is_no_part_of_the_digest(manifest):
    def digest(**files):
        manifest["files"] = files
        report = report_from_manifest(manifest, samples_us=[[1.0], [1.0]])
        return profile_of(report, ORIGIN).digest

    assert digest(a="00") == digest(**{"a": "00", "report.html": "11"}) != digest(a="22")


def test_steps_have_both_cumulative_shares(report):
    first, second = profile_document(report, ORIGIN)["steps"]
    total = first["median_us"] + second["median_us"]
    assert first["cumulative"] == first["cumulative_by_time"] == first["median_us"] / total
    assert second["cumulative"] == second["cumulative_by_time"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.update(format="octavo-profile-0"),
        lambda d: d.pop("run"),
        lambda d: d["steps"][0].pop("nodes"),
        lambda d: d["steps"][0].update(median_us=-1.0),
        lambda d: d["steps"][0].update(median_us=None),
        lambda d: d["steps"][0].update(name=3),
        lambda d: d["steps"][1].update(interval_us=[1.0]),
        lambda d: d.update(num_threads="two"),
        lambda d: d.update(steps=7),
    ],
)
def test_a_damaged_profile_is_named_in_one_line(report, tmp_path, damage):
    document = to_json_value(profile_document(report, ORIGIN))
    damage(document)
    path = write(tmp_path / "profile.json", document)
    message = r"profile\.json is no profile \(\w+: .*--save-profile"
    with pytest.raises(DataError, match=message):
        read_profile(path)


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", '"x"', "\xff"])
def test_other_files_are_no_profiles(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match="is no profile"):
        read_profile(path)


def test_the_table_has_a_line_for_each_step_in_run_order(report):
    text = profile_csv(report)
    assert text.count("\r\n") == len(text.splitlines()) == 3
    rows = list(csv.DictReader(StringIO(text, newline="")))
    assert list(rows[0]) == list(COLUMNS)
    assert [row["step"] for row in rows] == ["stem/conv", "head/softmax"]
    assert rows[0]["nodes"] == "stem/conv stem/relu"
    names = ("min_us", "p25_us", "p50_us", "p75_us", "max_us")
    times = [float(rows[0][name]) for name in names]
    assert times == [10.0, 17.5, 25.0, 32.5, 40.0]
    assert float(rows[0]["p95_us"]) == pytest.approx(38.5)
    assert float(rows[0]["gmacs_per_s"]) == pytest.approx(900 / 25e3)
    assert float(rows[1]["cumulative"]) == pytest.approx(1.0)
    assert rows[0]["bound_by"] == "overhead"


def test_a_table_without_peaks_leaves_their_columns_empty(manifest):
    manifest["steps"][0]["name"] = 'a "quoted", name\nof two lines'
    text = profile_csv(report_from_manifest(manifest, samples_us=[[1.0], [1.0]]))
    row = next(csv.DictReader(StringIO(text, newline="")))
    assert row["step"] == 'a "quoted", name\nof two lines'
    assert row["roof_share"] == row["bound_by"] == row["gain_us"] == ""


VALUES = (
    None, -1, 0, 1e308, float("inf"), float("nan"), "", "x", [], {}, True, [1, 2], 10**400,
    '<script>alert("x")</script>\x1b[31m\u202e',
)  # fmt: skip


def places(value, path=()):
    """Where a document can be damaged."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in entries:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


def test_whatever_is_damaged_is_refused_or_harmless(report, tmp_path):
    document = to_json_value(profile_document(report, ORIGIN))
    unread = {"peaks", "bottlenecks"}
    sound = read_profile(write(tmp_path / "sound.json", document))
    path, refusals, num_read = tmp_path / "damaged.json", [], 0
    for place in places({k: v for k, v in document.items() if k not in unread}):
        for value in VALUES:
            damaged = copy.deepcopy(document)
            entry = damaged
            for key in place[:-1]:
                entry = entry[key]
            entry[place[-1]] = value
            path.write_text(json.dumps(damaged))
            try:
                found = read_profile(path)
            except DataError as error:
                refusals.append(str(error))
                continue
            num_read += 1
            page = render_comparison(compare_profiles(found, sound))
            assert "<script" not in page
            assert "\x1b" not in page
            assert "\u202e" not in page
    assert min(len(refusals), num_read) > 100
    assert all(len(text.splitlines()) == 1 and len(text) < 1000 for text in refusals)
