"""What is written about searches of mixed precision is what was measured, and is good."""

import json

import numpy as np
import pytest
from benchmarks.mixed_precision import table
from benchmarks.result_rows import RESULTS

FILE = RESULTS / "mixed_precision.json"


@pytest.fixture(scope="module")
def rows():
    return json.loads(FILE.read_text())


def test_the_table_shows_what_was_measured(rows):
    assert FILE.with_suffix(".md").read_text() == table(rows)


def test_searches_cover_the_exhaustive_front_with_few_evaluations(rows):
    for row in rows["digits"]:
        search, chance = (row["shares"][solver] for solver in ("front", "random"))
        assert np.median(search) >= 0.95
        assert np.median(search) > np.median(chance)
        assert max(row["num_evaluated"]["front"]) <= 0.15 * row["num_configurations"]


def test_limits_held_when_they_were_measured_again(rows):
    for row in rows["resnet_digits"]:
        limits, again = row["limits"], row["again"]
        assert row["best"]["bytes"] <= limits["bytes"]
        assert again["best"]["latency"]["median_us"] / 1e3 <= limits["latency"]
        assert row["best"].get("drop", 0.0) <= 1.0
        assert again["best"]["accuracy"] >= again["w8a8"]["accuracy"] - 0.01
        assert all("least" in refused["said"] for refused in row["refused"])


@pytest.mark.parametrize("name", ["mobilenet_v2", "vit_tiny"])
def test_no_more_noise_in_fewer_bytes_or_the_search_says_that_there_is_nothing(rows, name):
    row = rows[name]
    uniform, best = row["references"]["w8a8"], row["best"]
    assert best["noise"] <= uniform["noise"]
    assert best["latency"] <= uniform["latency"] * (1 + 2 * row["spread"]["latency"])
    if best["bytes"] >= uniform["bytes"]:
        assert any("worse" in line for line in row["why_not_better"])
