"""Rivals, tables, the README's markers and the plot, from made-up measurements."""

import json
import math

import numpy as np
import pytest
from benchmarks import __main__ as command
from benchmarks.__main__ import BEGIN, END, with_table
from benchmarks.compare import measure
from benchmarks.peers.protocol import Candidate
from benchmarks.verdict import details, geometric_mean, judge, table, verdicts
from click.testing import CliRunner


def entry(peer, precision, median_ms, **fields):
    return {
        "peer": peer,
        "precision": precision,
        "variant": "",
        "sqnr_db": 20.0,
        "problem": "",
        "trial_ms": 1.0,
        "median_ms": median_ms,
        "low_ms": median_ms,
        "high_ms": median_ms,
    } | fields


ENTRIES = [
    entry("Octavo", "int8", 2.0),
    entry("Octavo", "float32", 1.0),  # our float is no rival, and not what the table shows
    entry("ONNX Runtime", "int8", 8.0),
    entry("OpenVINO", "bf16", 3.0),
    entry("OpenVINO", "int8", 6.0),
    entry("OpenVINO", "int8", None, variant="NNCF", problem="output off"),
]
ROWS = {"net": {"1": ENTRIES, "2": [*ENTRIES, entry("LiteRT", "float32", 1.5)]}}


def test_the_rival_is_the_fastest_peer_in_any_precision():
    verdict = judge("net", ENTRIES)
    assert (verdict.rival["peer"], verdict.rival["precision"]) == ("OpenVINO", "bf16")
    assert verdict.ours_ms == 2.0
    assert verdict.speedup == 1.5
    assert verdict.best["LiteRT"] is None


def test_no_rival_or_no_run_of_ours_is_an_error():
    with pytest.raises(ValueError, match="nobody"):
        judge("net", ENTRIES[:2])
    with pytest.raises(ValueError, match="we did not run"):
        judge("net", ENTRIES[1:])


def test_the_table_shows_every_peers_best_and_the_mean():
    lines = table({**ROWS, "other": {"1": ENTRIES}}, 1).splitlines()
    expected = "| net | 2.00 | 8.00 (int8) | **3.00 (bf16)** | - | 1.50x |"
    assert lines[2] == expected
    assert lines[-1].endswith("| 1.50x |")
    assert [verdict.name for verdict in verdicts(ROWS, 2)] == ["net"]
    assert "0.75x" in table(ROWS, 2)


def test_columns_are_the_same_in_every_line():
    counts = {line.count("|") for line in table(ROWS, 2).splitlines()}
    assert len(counts) == 1


def test_geometric_mean_of_a_ratio_and_its_inverse_is_one():
    assert math.isclose(geometric_mean([4, 0.25, 1]), 1)


def test_details_say_why_a_candidate_is_out():
    text = details(ROWS)
    assert "| OpenVINO int8, NNCF | - | - | 20.0 | output off |" in text
    assert "### net, 2 threads" in text


def test_the_table_replaces_what_is_between_the_markers():
    text = f"above\n{BEGIN}\nold\n{END}\nbelow\n"
    once = with_table(text, "new")
    assert once == f"above\n{BEGIN}\nnew\n{END}\nbelow\n"
    assert with_table(once, "new") == once
    with pytest.raises(ValueError, match="markers"):
        with_table("no markers", "new")


def test_plot_shows_every_peer_of_every_row(tmp_path):
    pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    from benchmarks.plot import points, save_plot

    assert sorted(point["ratio"] for point in points(ROWS)) == [0.75, 1.5, 1.5, 4, 4]
    save_plot(ROWS, tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    assert text.startswith("<svg")
    assert "bf16" in text


class Made:
    """A program with a given output, slower or faster."""

    def __init__(self, output, work):
        self.output, self.work = np.float32(output), work

    def run(self, inputs):
        return {"y": self.output * inputs["x"]}

    def bind(self, inputs):
        return lambda: [self.run(inputs) for _ in range(self.work)]


def test_wrong_and_broken_candidates_are_out_and_the_faster_variant_stays():
    def broken(num_threads):
        raise RuntimeError("cannot load\nsecond line")

    found = [
        Candidate("a", "int8", "slow", lambda n: Made(1.01, 2000)),
        Candidate("a", "int8", "fast", lambda n: Made(1.01, 2)),
        Candidate("b", "int8", "wrong", lambda n: Made(2, 1)),
        Candidate("b", "float32", "broken", broken),
        Candidate("b", "float32", "imprecise", lambda n: Made(1.01, 1)),
    ]
    x = {"x": np.ones(4, np.float32)}
    slow, fast, wrong, failed, imprecise = measure(found, [x], [{"y": x["x"]}], 1, 0.0)
    assert slow.median_ms is None
    assert slow.trial_ms > fast.trial_ms
    assert fast.median_ms is not None
    assert fast.sqnr_db == pytest.approx(40, abs=0.1)
    assert wrong.problem.startswith("output off: 0.0 dB")
    assert failed.problem == "RuntimeError: cannot load"
    assert imprecise.problem.startswith("output off: 40.0 dB")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(command, "README", tmp_path / "README.md")
    monkeypatch.setattr(command, "PACKAGES", ("numpy",))
    monkeypatch.setattr(command, "measure_network", lambda name, budget_s: ROWS["net"])
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    return tmp_path


def test_the_command_keeps_the_rows_of_other_networks(folder):
    runner = CliRunner()
    for name in ("lstm", "resnet50"):
        result = runner.invoke(command.main, ["--only", name], catch_exceptions=False)
        assert result.exit_code == 0
    rows = json.loads((folder / "results" / "speed.json").read_text())["networks"]
    assert list(rows) == ["resnet50", "lstm"]  # the order of the workloads
    readme = (folder / "README.md").read_text()
    assert readme.count("| lstm |") == 2
    assert {p.name for p in (folder / "results").iterdir()} == {
        "speed.json",
        "speed.md",
        "speed.svg",
    }


def test_a_network_that_fails_does_not_lose_the_others(folder, monkeypatch):
    def measure(name, budget_s):
        if name == "lstm":
            raise RuntimeError("does not compile")
        return ROWS["net"]

    monkeypatch.setattr(command, "measure_network", measure)
    result = CliRunner().invoke(command.main, ["--only", "lstm", "--only", "digits"])
    assert result.exit_code != 0
    assert "lstm: does not compile" in result.output
    rows = json.loads((folder / "results" / "speed.json").read_text())["networks"]
    assert list(rows) == ["digits"]


def test_a_dry_run_writes_nothing(folder):
    result = CliRunner().invoke(command.main, ["--only", "lstm", "--dry"])
    assert "| lstm |" in result.output
    assert not (folder / "results").exists()
