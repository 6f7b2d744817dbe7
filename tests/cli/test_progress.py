import io
import sys

import pytest

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.progress import progress_bar


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def _set_terminal(monkeypatch):
    # pytest sets stderr anew after the fixtures, so this is for the test's own body
    monkeypatch.setenv("TERM", "xterm")
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_stages_are_shown_on_a_terminal(monkeypatch):
    terminal = _set_terminal(monkeypatch)
    with progress_bar(Console()) as progress:
        progress("calibrate\x1b[2J", 0, 4)
        progress("calibrate\x1b[2J", 4, 4)
        progress("build", 0, 0)  # nobody knows how much there is
    shown = terminal.getvalue()
    assert r"calibrate\x1b[2J" in shown
    assert "4/4" in shown
    assert "build" in shown


@pytest.mark.parametrize("console", [Console(verbosity=-1), Console(json=True)])
def test_quiet_and_json_have_no_bar(monkeypatch, console):
    terminal = _set_terminal(monkeypatch)
    with progress_bar(console) as progress:
        assert progress is None
    assert terminal.getvalue() == ""


def test_a_pipe_has_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar(Console()) as progress:
        assert progress is None
