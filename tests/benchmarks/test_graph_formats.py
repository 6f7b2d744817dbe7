"""What the committed measurements of graph networks' formats have to say."""

import json
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pytest

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "graph_formats.json"


@pytest.fixture(scope="module")
def runs() -> dict[str, list[dict]]:
    by_name = defaultdict(list)
    for run in json.loads(RESULTS.read_text()):
        by_name[run["network"]].append(run)
    return by_name


def test_five_seeds_of_every_network(runs):
    assert set(runs) == {"gcn", "sage_mean", "gin", "gat", "sir_gcn"}
    assert all([run["seed"] for run in mine] == [*range(5)] for mine in runs.values())


@pytest.mark.parametrize(("formats", "points"), [("w8a8", 0.5), ("w4a8", 2.0)])
def test_uniform_formats_lose_little(runs, formats, points):
    for mine in runs.values():
        assert mean(run["drops"][formats] for run in mine) <= points


def test_searches_find_fewer_bytes_within_a_point(runs):
    for mine in runs.values():
        assert mean(run["found"]["drop"] for run in mine) <= 1.0
        assert all(run["found"]["bytes"] < run["bytes"]["w8a8"] for run in mine)


def test_messages_of_two_bits_break_every_network(runs):
    for mine in runs.values():
        assert mean(run["components"]["messages 2"] for run in mine) > 5.0
        assert all(run["breaks_first"] for run in mine)
