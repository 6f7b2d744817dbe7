"""Time compiled networks against ONNX Runtime, all of them alternating in one process.

    python -m benchmarks.latency [NAME ...]

Four programs for each network: ours in float and INT8, ONNX Runtime in float and in INT8 (its
own quantizer at its best settings for this CPU, uint8 activations). Writes
benchmarks/results/latency.json and latency.md; the README quotes them.
"""

import json
import platform
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime

import octavo
from benchmarks.interleave import Latency, measure_interleaved
from benchmarks.peers.onnxruntime_runner import OnnxRuntimeModel, quantize_int8
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path

RESULTS = Path(__file__).parent / "results"
NETWORKS = (
    "resnet50", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_lite0", "squeezenet1_1",
    "densenet121", "vit_tiny", "ds_cnn", "lstm",
)  # fmt: skip
PROGRAMS = ("octavo_int8", "octavo_float", "onnxruntime_int8", "onnxruntime_float")
NUM_CALIBRATION = 16
BUDGET_S = 10.0
# With one thread, programs take turns run by run. ONNX Runtime's worker threads spin for some
# 50 ms after a run: with two, each turn begins with a pause and is several runs.
TURNS = {1: {"burst": 1, "settle_s": 0.0}, 2: {"burst": 20, "settle_s": 0.25}}


@click.command()
@click.argument("names", nargs=-1)
@click.option("--child", is_flag=True, hidden=True, help="Measure one network, print JSON.")
@click.option("--budget", default=BUDGET_S, show_default=True, help="seconds per comparison")
def main(names: tuple[str, ...], child: bool, budget: float) -> None:
    """Measure the networks NAME, or the usual ones."""
    if child:
        print(json.dumps(measure(names[0], budget)))
        return
    rows: dict[str, Any] = {}
    for name in names or NETWORKS:
        arguments = ["--child", name, "--budget", str(budget)]
        command = [sys.executable, "-m", "benchmarks.latency", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(f"{name}: {done.stderr.strip().splitlines()[-1]}")
        rows[name] = json.loads(done.stdout.splitlines()[-1])
        click.echo(table({name: rows[name]}).splitlines()[-1], err=True)
    RESULTS.mkdir(exist_ok=True)
    record = {"cpu": cpu_name(), "onnxruntime": onnxruntime.__version__, "networks": rows}
    (RESULTS / "latency.json").write_text(json.dumps(record, indent=2) + "\n")
    (RESULTS / "latency.md").write_text(table(rows) + "\n")


def measure(name: str, budget_s: float) -> dict[str, Any]:
    """Compile one network twice and time it beside ONNX Runtime.

    Args:
        name: Name of a zoo entry.
        budget_s: Seconds for each number of threads.

    Returns:
        By number of threads and program: median, quartiles and minimum in milliseconds.
    """
    entry, path = find_entry(name), model_path(name)
    samples = entry.samples(NUM_CALIBRATION)
    peer = quantize_int8(path, samples)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "samples.npz"
        np.savez(data, **{k: np.concatenate([s[k] for s in samples]) for k in samples[0]})
        octavo.compile(path, "host", Path(folder) / "int8", samples=data)
        octavo.compile(path, "host", Path(folder) / "float", float_only=True)
        x = samples[0]
        for threads, turns in TURNS.items():
            with (
                octavo.load(Path(folder) / "int8", num_threads=threads) as int8,
                octavo.load(Path(folder) / "float", num_threads=threads) as real,
            ):
                programs = {
                    "octavo_int8": partial(int8.run, x),
                    "octavo_float": partial(real.run, x),
                    "onnxruntime_int8": OnnxRuntimeModel(peer, threads).bind(x),
                    "onnxruntime_float": OnnxRuntimeModel(path, threads).bind(x),
                }
                times = measure_interleaved(programs, min_runs=3, budget_s=budget_s, **turns)
            found[str(threads)] = {name: _milliseconds(times[name]) for name in PROGRAMS}
    return found


def _milliseconds(latency: Latency) -> dict[str, float]:
    return {
        "median_ms": round(latency.median_us / 1e3, 4),
        "low_ms": round(latency.low_us / 1e3, 4),
        "high_ms": round(latency.high_us / 1e3, 4),
        "min_ms": round(latency.min_us / 1e3, 4),
        "runs": latency.num_runs,
    }


def table(rows: dict[str, Any]) -> str:
    """Markdown: medians in milliseconds, one thread and two."""
    lines = [
        "| network | Octavo INT8 | ONNX Runtime INT8 | Octavo float | ONNX Runtime float |"
        " INT8 speed-up over its INT8 | Octavo INT8, 2 threads | its INT8, 2 threads |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        one, two = row["1"], row["2"]
        ratio = one["onnxruntime_int8"]["median_ms"] / one["octavo_int8"]["median_ms"]
        cells = [
            one[p]["median_ms"]
            for p in ("octavo_int8", "onnxruntime_int8", "octavo_float", "onnxruntime_float")
        ]
        cells += [
            f"{ratio:.2f}x",
            two["octavo_int8"]["median_ms"],
            two["onnxruntime_int8"]["median_ms"],
        ]
        shown = [c if isinstance(c, str) else f"{c:.3g}" for c in cells]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


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
