"""Compare with ONNX Runtime, OpenVINO and LiteRT: python -m benchmarks.

Everybody at its best settings on the same networks and inputs, one and two threads. Writes
benchmarks/results/speed.json, speed.md and speed.svg, and the table of the README.
"""

import importlib.metadata
import json
import multiprocessing
import platform
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
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
def main(only: tuple[str, ...], budget: float, dry: bool) -> None:
    """Measure every network, or those of --only, and write results, README table and plot."""
    rows = _read()
    failures = []
    for workload in WORKLOADS:
        name = workload.name
        if only and name not in only:
            continue
        try:
            rows[name] = measure_network(name, budget)
        # One network that cannot be measured is no reason to lose the others.
        except Exception as error:
            failures.append(f"{name}: {error}")
            continue
        rows = {w.name: rows[w.name] for w in WORKLOADS if w.name in rows}
        for threads, entries in rows[name].items():
            verdict = judge(name, entries)
            rival = f"{verdict.rival['peer']} {verdict.rival['precision']}"
            click.echo(f"{name}, {threads}: {verdict.speedup:.2f}x of {rival}", err=True)
        if not dry:
            write(rows)
    click.echo(tables(rows))
    if failures:
        raise click.ClickException("; ".join(failures))


def measure_network(name: str, budget_s: float) -> dict[str, Any]:
    """Compile one network and measure it, by number of threads."""
    from benchmarks.compare import compare, prepare

    workload, folder = find_workload(name), ARTIFACTS / name
    _in_process(prepare, workload, folder)
    return {str(n): _in_process(compare, workload, folder, n, budget_s) for n in THREADS}


def _in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own: its memory, threads and pinning end there."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def write(rows: dict[str, Any]) -> None:
    """Write the results, the README's table and the plot."""
    RESULTS.mkdir(exist_ok=True)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    record = {"cpu": cpu_name(), "versions": versions, "networks": rows}
    (RESULTS / "speed.json").write_text(json.dumps(record, indent=1) + "\n")
    text = tables(rows)
    (RESULTS / "speed.md").write_text(f"{text}\n\n{details(rows)}\n")
    save_plot(rows, RESULTS / "speed.svg")
    README.write_text(with_table(README.read_text(encoding="utf-8"), text), encoding="utf-8")


def tables(rows: dict[str, Any]) -> str:
    """One table for each number of threads."""
    return "\n\n".join(table(rows, threads) for threads in THREADS)


def _read() -> dict[str, Any]:
    file = RESULTS / "speed.json"
    rows: dict[str, Any] = json.loads(file.read_text())["networks"] if file.exists() else {}
    return rows


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
