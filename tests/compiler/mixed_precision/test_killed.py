"""A search that is killed at random moments loses nothing and measures nothing twice."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from tests.compiler.mixed_precision.conftest import MODEL, SAMPLES

NUM_KILLS = 50
MOST_SECONDS = 1.2  # of a child: several of them until a search has ended
ROOT = Path(__file__).parents[3]

# Children are forked where everything is imported, so that they search nearly at once. Each
# writes what it begins to measure into a log of its own.
_HARNESS = """
import json, os, sys
from pathlib import Path
from octavo.compiler.mixed_precision import accuracy, run
from octavo.compiler.mixed_precision.options import SearchOptions
from octavo.passes.layer_format import LayerFormat
import octavo.compiler.compile, octavo.compiler.mixed_precision.artifacts
import octavo.compiler.report.search_page

model, samples, folder = map(Path, sys.argv[1:])
measure = accuracy.AccuracyMeter.measure

def logged(self, formats):
    os.write(log, (json.dumps([[k, str(v)] for k, v in formats.items()]) + "\\n").encode())
    return measure(self, formats)

accuracy.AccuracyMeter.measure = logged
formats = tuple(map(LayerFormat.parse, ("w8a8", "w4a8", "w2a8")))
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        log = os.open(line.strip(), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        resume = (folder / "search.sqlite").is_file()
        run.search_model(
            model, "host", folder, samples, SearchOptions(formats, budget=40),
            max_samples=32, resume=resume)
        os._exit(0)
    print(pid, flush=True)
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


def _rows(folder: Path) -> list[tuple[object, ...]]:
    if not (folder / "search.sqlite").is_file():
        return []
    with sqlite3.connect(folder / "search.sqlite") as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if "measurements" not in tables:
            return []
        return database.execute("SELECT * FROM measurements ORDER BY number").fetchall()


def test_fifty_kills(tmp_path: Path) -> None:
    folder, moments = tmp_path / "killed", random.Random(0)
    with subprocess.Popen(
        [sys.executable, "-c", _HARNESS, str(MODEL), str(SAMPLES), str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as harness:  # fmt: skip
        assert harness.stdin is not None
        assert harness.stdout is not None

        def child(number: int, kill_after: float | None) -> int:
            """Search until a moment; the exit code."""
            harness.stdin.write(f"{tmp_path / f'log{number}'}\n")
            harness.stdin.flush()
            pid = int(harness.stdout.readline())
            if kill_after is not None:
                time.sleep(kill_after)
                os.kill(pid, signal.SIGKILL)
            return int(harness.stdout.readline())

        before: list[tuple[object, ...]] = []
        num_killed = 0
        for number in range(NUM_KILLS):
            exit_code = child(number, moments.uniform(0, MOST_SECONDS))
            num_killed += exit_code == -signal.SIGKILL
            rows = _rows(folder)
            assert rows[: len(before)] == before  # nothing that was written is gone
            known = {json.dumps(json.loads(str(row[2]))[0]) for row in before}
            log = tmp_path / f"log{number}"
            begun = log.read_text().splitlines() if log.exists() else []
            assert not known & set(begun)  # nothing that was written is measured again
            before = rows
        assert num_killed > NUM_KILLS / 2
        assert child(NUM_KILLS, None) == 0
        folder = tmp_path / "whole"
        harness.stdin.close()
    subprocess.run(
        [sys.executable, "-c", _HARNESS, str(MODEL), str(SAMPLES), str(folder)],
        input=f"{tmp_path / 'log'}\n", text=True, check=True, cwd=ROOT, capture_output=True,
    )  # fmt: skip
    records = [
        json.loads((tmp_path / name / "search.json").read_text())
        for name in ("killed", "whole")
    ]
    assert records[0] == records[1]
