"""Run every network on every target and write the table of docs/targets.md.

    python -m tests.conformance.grid [--only NETWORK] [--target TARGET] [--workers 2]

Each cell is a process of its own. Results are kept as they come, for the state of the sources
that decide them: a run that was interrupted goes on where it was, and after a change to one
family of targets only its cells run again. A cell that is not run keeps the result that is
committed.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from octavo.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("targets.json")
DOCUMENT = ROOT / "docs" / "targets.md"
BEGIN, END = "<!-- conformance table: make conformance writes it -->", "<!-- end of table -->"
FOLDER = ROOT / "build" / "conformance"
NETWORKS = (
    "digits", "ds_cnn", "mobilenet_v2", "resnet18", "vit_tiny", "minilm_l6",
    "gcn", "gat", "sir_gcn",
)  # fmt: skip
LEVELS = tuple(name for name in TARGETS if name != "host")
TIMEOUT_S = 3600.0
# What no cell depends on, and the folders of one family of targets each. All are compared with
# this machine, so x86's are everybody's.
APART = ("compiler/cli", "compiler/report", "targets/devices")
FAMILIES = ("arm64", "armv7", "hexagon", "opencl", "riscv64")
# The cells that take the most, so that the last ones to end are short.
SLOW_FIRST = ("hexagon", "riscv64", "opencl", "armv7", "arm64", "x86")

Results = dict[str, dict[str, dict[str, Any]]]


def main() -> None:
    """Run the cells that are asked for, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=NETWORKS, help="this network")
    parser.add_argument("--target", action="append", choices=LEVELS, help="this target")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-counts", action="store_true", help="do not count instructions")
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = FOLDER / sources_digest(())
    if arguments.cell:
        print(json.dumps(_cell(*arguments.cell, folder, counts=not arguments.no_counts)))
        return
    targets = sorted(arguments.target or LEVELS, key=_slowness)
    networks = sorted(arguments.only or NETWORKS, key=NETWORKS.index, reverse=True)
    cells = [(network, target) for network in networks for target in targets]
    _forget_others(folder)
    options = ("--no-counts",) if arguments.no_counts else ()

    def run(cell: tuple[str, str]) -> None:
        start = time.monotonic()
        found = _run(cell, folder, options)
        text = f"{cell[0]} on {cell[1]}: {found}, {time.monotonic() - start:.0f} s"
        print(text, file=sys.stderr, flush=True)

    with ThreadPoolExecutor(arguments.workers) as pool:
        list(pool.map(run, cells))
    results: Results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for network, target in cells:
        found = json.loads(_file(folder, network, target).read_text())
        results.setdefault(network, {})[target] = found
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(), results))
    sys.exit(any("error" in r or r.get("num_different") for r in _flat(results)))


def _cell(network: str, target: str, folder: Path, *, counts: bool) -> dict[str, Any]:
    from tests.conformance.agreement import measure

    from octavo.compiler.devices.qemu import emulator_command
    from octavo.errors import OctavoError
    from octavo.targets.host import missing_flags

    record = TARGETS[target]
    try:
        if record.emulator is not None:
            if not record.is_emulated:
                return {"skipped": "its GPU is not emulated"}
            emulator_command(record)  # says so at once where it is not installed
        elif missing := missing_flags(record):
            return {"skipped": f"this CPU lacks {', '.join(sorted(missing))}"}
        return measure(network, target, folder, counts=counts)
    except OctavoError as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _slowness(target: str) -> int:
    return next(i for i, family in enumerate(SLOW_FIRST) if family in families(target))


def families(target: str) -> tuple[str, ...]:
    """The folders of ``targets`` whose instructions a target has."""
    record = TARGETS[target]
    family = record.family.removesuffix("-64")
    return (family,) if record.accelerator is None else ("opencl", family)


def _file(folder: Path, network: str, target: str) -> Path:
    return folder / f"{network}.{target}.{sources_digest(families(target))}.json"


def _run(cell: tuple[str, str], folder: Path, options: tuple[str, ...]) -> dict[str, Any]:
    """Take the kept result of a cell, or run it in a process of its own and keep it."""
    file = _file(folder, *cell)
    if file.exists():
        kept: dict[str, Any] = json.loads(file.read_text())
        return kept
    command = [sys.executable, "-m", "tests.conformance.grid", "--cell", *cell, *options]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        found = {"error": f"no result within {TIMEOUT_S:g} s"}
    else:
        lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
        last = lines[-1] if lines else f"exit code {done.returncode}"
        found = json.loads(last) if done.returncode == 0 else {"error": last}
    folder.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(found) + "\n")
    partial.replace(file)
    return found


@cache
def sources_digest(own: tuple[str, ...]) -> str:
    """Of everything that decides what is compiled; results of other sources do not count.

    Args:
        own: Families of targets whose folders count too.
    """
    others = [f"targets/{family}" for family in FAMILIES if family not in own]
    digest = hashlib.sha256()
    for part in ("compiler", "passes", "targets", "runtime"):
        for path in sorted((ROOT / part).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            apart = any(name.startswith(f"{folder}/") for folder in (*APART, *others))
            if path.suffix in (".py", ".c", ".h") and not apart:
                digest.update(name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _flat(results: Mapping[str, Mapping[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [found for row in results.values() for found in row.values()]


def table(results: Mapping[str, Mapping[str, dict[str, Any]]]) -> str:
    """Markdown: a line per target, a column per network; then what is not equal, and why."""
    lines = [
        f"| target | {' | '.join(NETWORKS)} |",
        f"|---|{'---|' * len(NETWORKS)}",
    ]
    notes: dict[str, list[str]] = {}
    for target in LEVELS:
        row = {network: results.get(network, {}).get(target) for network in NETWORKS}
        lines.append(f"| {target} | {' | '.join(_text(found) for found in row.values())} |")
        for network, found in row.items():
            if found is not None and _reason(found):
                notes.setdefault(f"{target}: {_reason(found)}", []).append(network)
    lines += ["", *(f"- {', '.join(names)} on {note}" for note, names in notes.items())]
    return "\n".join(lines).rstrip() + "\n"


def _text(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not run"
    if "skipped" in found:
        return "not here"
    if "error" in found:
        return "**fails**"
    equal = "**differs**" if found["num_different"] else "equal"
    if "instructions" not in found:
        return equal
    suffix = "p" if found["unit"] == "packets" else ""
    return f"{equal}, {found['instructions'] / 1e6:.4g} M{suffix}"


def _reason(found: Mapping[str, Any]) -> str:
    if "error" in found:
        return str(found["error"]).replace("|", "\\|").replace("<", "&lt;")
    if "skipped" in found:
        return str(found["skipped"])
    if found.get("num_different"):
        return (
            f"{found['num_different']} of {found['num_outputs']} outputs differ,"
            f" by {found['max_difference']:.3g} at most"
        )
    return ""


def with_table(text: str, results: Mapping[str, Mapping[str, dict[str, Any]]]) -> str:
    """The document with the table between its marks replaced."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table(results)}{END}{after}"


def _forget_others(folder: Path) -> None:
    """Remove what was made with other sources."""
    for other in FOLDER.glob("*"):
        if other != folder:
            shutil.rmtree(other)


if __name__ == "__main__":
    main()
