"""One Android device that stands in for real ones, behind an adb that stands in for adb."""

import sys
from pathlib import Path

import pytest

STAND_IN = Path(__file__).with_name("adb_stand_in.py")


def connect(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Connect PIXEL8, which keeps its files in a folder of ``root``; returns that."""
    (root / "PIXEL8").mkdir(parents=True)
    (root / "serials").write_text("PIXEL8")
    program = root / "adb"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("ADB", str(program))
    monkeypatch.setenv("ADB_STAND_IN", str(root))
    return root
