"""A search is watched: live on a terminal, by lines elsewhere, never on stdout."""

import io
import sys
from types import SimpleNamespace

import pytest

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.search_progress import LINE_SECONDS, SearchProgress

OPTIONS = SimpleNamespace(limits={"drop": 0.5, "latency": 3.0})
FRONT = [
    {"drop": 9.0, "latency": 1.0, "bytes": 1000.0},
    {"drop": 0.4, "latency": 2.0, "bytes": 4096.0},
    {"drop": 0.1, "latency": 2.5, "bytes": 3072.0},
    {"drop": 0.0, "latency": 4.0, "bytes": 2048.0},
]
BEST = "best so far: accuracy lost 0.10 points, latency 2.50 ms, weights 3.00 KiB"


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def set_stderr(monkeypatch, stream):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_a_pipe_gets_a_line_now_and_then(monkeypatch, clock, capsys):
    stderr = set_stderr(monkeypatch, io.StringIO())
    with SearchProgress(Console(), OPTIONS, clock=clock) as progress:
        progress.update("evaluations", 0, 60, [])
        clock.now += LINE_SECONDS / 2
        progress.update("evaluations", 10, 60, FRONT[:1])
        clock.now += LINE_SECONDS / 2
        progress.update("evaluations", 20, 60, FRONT)
        clock.now += 1
        progress.update("measure accuracy", 1, 8)
        clock.now += 1
        progress.update("evaluations", 30, 60)
    assert stderr.getvalue().splitlines() == [
        "evaluations 0/60; 0:00",
        f"evaluations 20/60; 0:30, about 1:00 left; {BEST}",
        f"measure accuracy 1/8; 0:31; {BEST}",
        f"evaluations 30/60; 0:32, about 0:32 left; {BEST}",
    ]
    assert capsys.readouterr().out == ""


def test_what_an_earlier_run_did_says_nothing_of_the_time_left(monkeypatch, clock):
    stderr = set_stderr(monkeypatch, io.StringIO())
    with SearchProgress(Console(), OPTIONS, clock=clock) as progress:
        progress.update("evaluations", 50, 60, FRONT[:1])
        clock.now += 3600.0
        progress.update("evaluations", 51, 60)
    assert stderr.getvalue().splitlines() == [
        "evaluations 50/60; 0:00; nothing within the limits so far",
        "evaluations 51/60; 1:00:00, about 9:00:00 left; nothing within the limits so far",
    ]


def test_a_terminal_shows_bars_and_the_front_and_leaves_nothing(monkeypatch, clock):
    stderr = set_stderr(monkeypatch, Terminal())
    with SearchProgress(Console(), OPTIONS, clock=clock) as progress:
        progress.update("evaluations\x1b[2J", 20, 60, FRONT)
    shown = stderr.getvalue()
    assert r"evaluations\x1b[2J" in shown
    assert "20/60" in shown
    assert "front: 4 points, 2 within the limits" in shown
    lines = [line for line in shown.splitlines() if "points" in line and "front" not in line]
    assert [("best" in line, "0.10" in line) for line in lines[:4]].count((True, True)) == 1
    # The view is erased in the end: the summary takes its place.
    assert shown.rstrip().endswith("\x1b[2K")


def test_a_terminal_without_colours(monkeypatch, clock):
    monkeypatch.setenv("NO_COLOR", "1")
    stderr = set_stderr(monkeypatch, Terminal())
    with SearchProgress(Console(), OPTIONS, clock=clock) as progress:
        progress.update("evaluations", 20, 60, FRONT)
    assert "\x1b[3" not in stderr.getvalue()
    assert "\x1b[9" not in stderr.getvalue()


def test_a_large_front_is_cut(monkeypatch, clock):
    stderr = set_stderr(monkeypatch, Terminal())
    front = [{"noise": -i, "latency": 1e6 * i, "bytes": 10.0} for i in range(1, 30)]
    options = SimpleNamespace(limits={})
    with SearchProgress(
        Console(), options, latency_unit="instructions", clock=clock
    ) as progress:
        progress.update("evaluations", 29, 60, front)
    assert "front: 29 points" in stderr.getvalue()
    assert "21 more" in stderr.getvalue()
    assert "1.00 M instructions" in stderr.getvalue()


@pytest.mark.parametrize(
    ("console", "stream"),
    [
        (Console(verbosity=-1), io.StringIO),
        (Console(verbosity=-1), Terminal),
        (Console(json=True), Terminal),
    ],
)
def test_who_asks_for_quiet_gets_it(monkeypatch, clock, console, stream):
    stderr = set_stderr(monkeypatch, stream())
    with SearchProgress(console, OPTIONS, clock=clock) as progress:
        progress.update("evaluations", 20, 60, FRONT)
        clock.now += 2 * LINE_SECONDS
        progress.update("evaluations", 40, 60, FRONT)
    assert stderr.getvalue() == ""


def test_an_error_passes_through(monkeypatch, clock):
    set_stderr(monkeypatch, Terminal())
    with (
        pytest.raises(KeyError, match="device"),
        SearchProgress(Console(), OPTIONS, clock=clock),
    ):
        raise KeyError("device")
