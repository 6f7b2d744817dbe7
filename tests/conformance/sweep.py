"""Run every ONNX backend node test in scope and write the committed table.

    python -m tests.conformance.sweep [--workers 2]

Each worker is a process of its own, started again behind the test that killed it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.conformance.cases import all_tests, load_case, out_of_scope
from tests.conformance.outcome import PASS, outcome

TABLE = Path(__file__).with_name("onnx_backend.json")
REPORT = TABLE.with_suffix(".md")
CRASHED = "bug: the process died"
STALLED_S = 180.0


def names_in_scope() -> list[str]:
    """Tests that we claim, in a fixed order."""
    return sorted(name for name, test in all_tests().items() if not out_of_scope(test))


def work(names_file: Path, results_file: Path) -> None:
    """Run tests; a line is written before each one, so that a crash names its test."""
    from tests.conformance.program_runner import ProgramRunner

    from octavo.targets import get_target

    done = set(_read(results_file))
    with tempfile.TemporaryDirectory() as folder, results_file.open("a") as results:
        runner = ProgramRunner(get_target("host"), Path(folder))
        for name in json.loads(names_file.read_text()):
            if name in done:
                continue
            for result in (CRASHED, outcome(name, runner)):
                results.write(json.dumps([name, result]) + "\n")
                results.flush()


def _read(results_file: Path) -> dict[str, str]:
    if not results_file.is_file():
        return {}
    return dict(json.loads(line) for line in results_file.read_text().splitlines())


def sweep(workers: int) -> dict[str, str]:
    """Outcome of every test in scope."""
    names = names_in_scope()
    results: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        waiting = []
        for index in range(workers):
            names_file = folder / f"{index}.json"
            names_file.write_text(json.dumps(names[index::workers]))
            waiting.append((names_file, folder / f"{index}.jsonl"))
        running = {pair: _start(pair) for pair in waiting}
        while running:
            time.sleep(1.0)
            for pair, process in list(running.items()):
                if process.poll() is None:
                    if time.time() - _age(pair[1]) < STALLED_S:
                        continue
                    process.kill()
                    process.wait()
                if process.returncode == 0:
                    del running[pair]
                else:
                    running[pair] = _start(pair)
        for _, results_file in waiting:
            results.update(_read(results_file))
    return {name: results[name] for name in names}


def _age(results_file: Path) -> float:
    return results_file.stat().st_mtime if results_file.is_file() else time.time()


def _start(pair: tuple[Path, Path]) -> "subprocess.Popen[bytes]":
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.conformance.sweep", "--work", *map(str, pair)]
    pair[1].touch()
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def report(results: dict[str, str]) -> str:
    """The table in Markdown: totals, and every test that does not pass with its reason."""
    passed = sum(result == PASS for result in results.values())
    skipped = Counter(
        reason for test in all_tests().values() if (reason := out_of_scope(test)))
    lines = [
        "# ONNX backend node tests",
        "",
        "Written by `python -m tests.conformance.sweep`. Each test is imported, lowered,",
        "compiled for the host and compared with ONNX's expected output at ONNX's tolerance.",
        "",
        f"**{passed} of {len(results)} pass ({passed / len(results):.1%}).**"
        f" {sum(skipped.values())} more are out of scope:"
        f" {', '.join(f'{reason} ({n})' for reason, n in sorted(skipped.items()))}.",
        "",
        "Inputs that decide a shape (axes of a reduction, sizes of a resize, k of TopK) are",
        "bound as constants, as a compiler for static shapes needs them.",
        "",
        "| test | reason |",
        "|---|---|",
    ]
    for name, result in results.items():
        if result != PASS:
            escaped = result.replace("|", "\\|").replace("<", "&lt;")
            lines.append(f"| {name} | {escaped} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the sweep, or one worker of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--show", help="run one test and print what happened")
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work)
        return
    if arguments.show:
        from tests.conformance.program_runner import ProgramRunner

        from octavo.targets import get_target

        with tempfile.TemporaryDirectory() as folder:
            runner = ProgramRunner(get_target("host"), Path(folder))
            print(load_case(arguments.show).bound, outcome(arguments.show, runner))
        return
    results = sweep(arguments.workers)
    TABLE.write_text(json.dumps(results, indent=1) + "\n")
    REPORT.write_text(report(results))
    print(REPORT.read_text().split("\n\n")[2])


if __name__ == "__main__":
    main()
