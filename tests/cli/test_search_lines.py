"""The summary of a search names the chosen point, the front, and what was refused."""

from pathlib import Path

import pytest

from octavo.compiler.cli.search_lines import NUM_FRONT, search_lines
from octavo.errors import DataError

OBJECTIVES = [
    {"name": "drop", "title": "accuracy lost", "unit": "points"},
    {"name": "latency", "title": "latency", "unit": "ms"},
    {"name": "bytes", "title": "weights", "unit": "B"},
]


def values(drop, latency, size):
    return {"drop": drop, "latency": latency, "bytes": size}


def point(number, formats, *costs, error=None):
    return {
        "id": number, "formats": dict(zip(("stem", "body", "head"), formats, strict=True)),
        "objectives": {} if error else values(*costs), "error": error, "on_front": not error,
    }  # fmt: skip


def front(number, *costs, meets_limits=True):
    return {
        "id": number, "objectives": values(*costs), "spread": {"latency": 0.004},
        "artifact": f"front/{number}", "meets_limits": meets_limits,
    }  # fmt: skip


@pytest.fixture
def record():
    return {
        "schema": 1, "model": "net", "target": "host", "device": "local", "seed": 3,
        "solver": "front", "budget": 6, "num_judging": 225,
        "objectives": OBJECTIVES,
        "limits": {"drop": 0.5, "latency": 3.0},
        "references": [
            {"name": "float32", "objectives": values(0.0, 8.0, 16384)},
            {"name": "w8a8", "objectives": values(0.28, 2.0, 4096)},
        ],
        "layers": [
            {"name": n, "op_types": ["Conv"], "num_weights": 10, "macs": 100}
            for n in ("stem", "body", "head")
        ],
        "points": [
            point(0, ("w8a8", "w8a8", "w8a8"), 0.28, 2.0, 4096),
            point(1, ("w8a8", "w4a8", "w8a8"), 0.28, 1.9, 3072),
            point(2, ("w2a8", "w2a8", "w2a8"), 30.0, 1.7, 1024),
            point(3, ("w3a8", "w8a8", "w8a8"), error="stem: no kernel for w3a8"),
            point(4, ("w3a8", "w3a8", "w8a8"), error="stem: no kernel for w3a8"),
        ],
        "front": [
            front(0, 0.28, 2.01, 4096),
            front(1, 0.28, 1.91, 3072),
            front(2, 30.0, 1.71, 1024, meets_limits=False),
        ],
        "best": {"id": 1, "artifact": "best", "objectives": values(0.28, 1.91, 3072)},
        "why_not_better": [],
        "progress": [{"evaluations": 3, "hypervolume": 0.5}],
        "sensitivities": {},
    }  # fmt: skip


def test_every_line(record):
    assert search_lines(record, Path("out")) == [
        "net for host",
        "search          front, seed 3: 5 of 6 evaluations, 2 failed; measured on local;"
        " losses on 225 samples, one of which is 0.44 points",
        "chosen          #1: accuracy lost 0.28 points, latency 1.91 ms, weights 3.00 KiB",
        "  against float32: accuracy lost +0.28 points, latency -76.1%, weights -81.2%",
        "  against w8a8: accuracy lost 0.00 points, latency -4.5%, weights -25.0%",
        "  within the limits: accuracy lost 0.50 points, latency 3.00 ms",
        "  formats: w4a8: body; the others w8a8",
        "front           3 points (* chosen, ! above a limit)",
        "       accuracy lost        vs w8a8  latency  vs w8a8   weights  vs w8a8  layers",
        "  !#2   30.00 points  +29.72 points  1.71 ms   -14.5%  1.00 KiB   -75.0%  3 w2a8",
        "  *#1    0.28 points    0.00 points  1.91 ms    -4.5%  3.00 KiB   -25.0%  2 w8a8,"
        " 1 w4a8",
        "   #0    0.28 points    0.00 points  2.01 ms    +0.5%  4.00 KiB     0.0%  3 w8a8",
        "refused         2 points failed: stem: no kernel for w3a8",
        "refused         1 point of the front above the limit of 0.50 points for accuracy"
        " lost",
        "artifact        out/best",
        "report          out/report.html",
    ]


def test_nothing_within_the_limits_names_the_nearest(record):
    record["limits"] = {"latency": 1.0}
    record["best"] = None
    for entry in record["front"]:
        entry["meets_limits"] = False
    lines = search_lines(record, Path("out"))
    assert "chosen          nothing: no point meets the limits (latency 1.00 ms)" in lines
    assert "  least of each that was measured: latency 1.71 ms (#2)" in lines
    assert not any(line.startswith("artifact") for line in lines)


def test_evidence_that_nothing_is_better_is_shown(record):
    record["why_not_better"] = ["60 configurations were measured", "each is slower"]
    lines = search_lines(record, Path("out"))
    assert "why not better  60 configurations were measured" in lines
    assert "why not better  each is slower" in lines


def test_without_device_and_labels_there_are_two_objectives(record):
    record["objectives"] = [
        {"name": "noise", "title": "noise over signal", "unit": "dB"}, OBJECTIVES[2]
    ]  # fmt: skip
    record["device"] = ""
    record["limits"] = {}
    record["references"][0]["objectives"] = {"bytes": 16384}
    record["references"][1]["objectives"] = {"noise": -200.0, "bytes": 4096}
    for entry in (*record["points"], *record["front"], record["best"]):
        entry["objectives"] = {"noise": -40.0 + entry["id"], "bytes": 4096 - entry["id"]}
    lines = search_lines(record, Path("out"))
    assert "2 failed; without a device" in lines[1]
    assert "chosen          #1: noise over signal -39.0 dB, weights 4.00 KiB" in lines
    assert "  against float32: weights -75.0%" in lines
    assert "  against w8a8: weights -0.0%" not in lines  # and nothing to noise that is none
    assert "  against w8a8: weights 0.0%" in lines


def test_counts_of_an_emulator_are_called_so(record):
    record["objectives"] = [OBJECTIVES[0], {**OBJECTIVES[1], "unit": "instructions"}]
    record["device"] = "qemu"
    for entry in record["front"]:
        entry["objectives"]["latency"] *= 1e6
    lines = search_lines(record, Path("out"))
    assert "; counted under qemu, which is no time; " in lines[1]
    assert any("1.91 M instructions" in line for line in lines)


def test_a_large_front_is_cut_but_not_the_points_within_the_limits(record):
    for number in range(10, 10 + 2 * NUM_FRONT):
        good = number % 2
        record["points"].append(point(number, ("float",) * 3, 0.1, 1.0 + number, 9000))
        record["front"].append(front(number, 0.1, 1.0 + number, 9000, meets_limits=good))
    lines = search_lines(record, Path("out"))
    rows = [line for line in lines if "KiB" in line and "#" in line and "chosen" not in line]
    assert len(rows) == NUM_FRONT
    assert not any("!" in row for row in rows)
    assert f"; {NUM_FRONT} of them, the report has all" in "\n".join(lines)


def test_a_damaged_record_is_refused(record):
    del record["front"][0]["objectives"]["bytes"]
    with pytest.raises(DataError, match=r"search\.json is malformed"):
        search_lines(record, Path("out"))
