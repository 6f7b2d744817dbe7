"""Compare with ONNX Runtime, OpenVINO and LiteRT: python -m benchmarks.

Everybody at its best settings on the same networks and inputs, one and two threads. Writes
benchmarks/results/speed.json, speed.md and speed.svg, and the table of the README.
"""

import importlib.metadata
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from benchmarks.plot import save_plot
from benchmarks.verdict import details, judge, table
from benchmarks.workloads import WORKLOADS, find_workload

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
ARTIFACTS = ROOT / "build" / "bench"
BEGIN, END = "<!-- speed table: make bench writes it -->", "<!-- end of speed table -->"
PACKAGES = ("onnxruntime", "openvino", "nncf", "ai-edge-litert", "ai-edge-quantizer")
BUDGET_S = 12.0
THREADS = (1, 2)


@click.command()
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([workload.name for workload in WORKLOADS]),
    help="Measure this network and keep the others' results; may be repeated.",
)
@click.option("--budget", default=BUDGET_S, show_default=True, help="seconds per comparison")
@click.option("--dry", is_flag=True, help="Print the tables, write nothing.")
@click.option("--child", hidden=True, help="Measure one network, print JSON.")
def main(only: tuple[str, ...], budget: float, dry: bool, child: str | None) -> None:
    """Measure every network, or those of --only, and write results, README table and plot."""
    if child:
        print(json.dumps(measure_here(child, budget)))
        return
    file = RESULTS / "speed.json"
    old: dict[str, Any] = json.loads(file.read_text())["networks"] if file.exists() else {}
    rows: dict[str, Any] = {}
    for workload in WORKLOADS:
        name = workload.name
        if only and name not in only:
            if name in old:
                rows[name] = old[name]
            continue
        rows[name] = in_child(name, budget)
        for threads, entries in rows[name].items():
            verdict = judge(name, entries)
            rival = f"{verdict.rival['peer']} {verdict.rival['precision']}"
            click.echo(f"{name}, {threads}: {verdict.speedup:.2f}x of {rival}", err=True)
    text = "\n\n".join(table(rows, threads) for threads in THREADS)
    click.echo(text)
    if not dry:
        write(rows, text)


def in_child(name: str, budget_s: float) -> dict[str, Any]:
    """Measure one network in a process of its own, with which its threads end."""
    command = [sys.executable, "-m", "benchmarks", "--child", name, "--budget", str(budget_s)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise click.ClickException(f"{name}: {lines[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_here(name: str, budget_s: float) -> dict[str, Any]:
    """Measure one network in this process."""
    from benchmarks.compare import compare

    return compare(find_workload(name), ARTIFACTS / name, threads=THREADS, budget_s=budget_s)


def write(rows: dict[str, Any], tables: str) -> None:
    """Write the results, the README's table and the plot."""
    RESULTS.mkdir(exist_ok=True)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    record = {"cpu": cpu_name(), "versions": versions, "networks": rows}
    (RESULTS / "speed.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "speed.md").write_text(f"{tables}\n\n{details(rows)}\n")
    save_plot(rows, RESULTS / "speed.svg")
    README.write_text(with_table(README.read_text(encoding="utf-8"), tables), encoding="utf-8")


def with_table(readme: str, tables: str) -> str:
    """Return a text with what is between the two markers replaced.

    Raises:
        ValueError: The markers are not there.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"markers not found: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def cpu_name() -> str:
    """What the operating system calls the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
