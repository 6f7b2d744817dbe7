"""What Winograd's convolution wins: networks compiled with it and without, side by side.

    python -m benchmarks.winograd [NAME ...]

Compiles each network for each level twice from the same quantized model, once with the kernel
taken out of the library, and runs both in turn in one thread. Times are of the thread on the
CPU, the lowest of all runs, so that other programs on the machine count little. Writes
benchmarks/results/winograd.json and winograd.md. Outputs must be equal, bit for bit.
"""

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np

import octavo
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.roofline.machine import this_machine
from octavo.targets import library

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("resnet50", "resnet18", "densenet121", "unet", "inception_v3")
TARGETS = ("x86-64-avx512vnni", "x86-64-avxvnni", "x86-64-avx2")
KERNEL = "winograd"
NUM_CALIBRATION = 4
WARMUP = 3
SECONDS = 8.0


@click.command()
@click.argument("names", nargs=-1)
@click.option("--target", "targets", multiple=True, help="level; repeatable")
@click.option("--seconds", default=SECONDS, show_default=True, help="of running, each")
def main(names: tuple[str, ...], targets: tuple[str, ...], seconds: float) -> None:
    """Measure the networks NAME, or the usual ones."""
    rows = []
    for name in names or NETWORKS:
        for target in targets or TARGETS:
            rows.append({"network": name, "target": target, **measure(name, target, seconds)})
            click.echo(table(rows[-1:]).splitlines()[-1], err=True)
    RESULTS.mkdir(exist_ok=True)
    record = {"cpu": this_machine().cpu, "rows": rows}
    (RESULTS / "winograd.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "winograd.md").write_text(table(rows) + "\n")


def measure(name: str, target: str, seconds: float) -> dict[str, Any]:
    """Compile one network twice for one level and time both.

    Args:
        name: Name of a zoo entry.
        target: Name of a target that this machine runs.
        seconds: How long both run, in turn.
    """
    samples = find_entry(name).samples(NUM_CALIBRATION)
    data = {key: np.concatenate([s[key] for s in samples]) for key in samples[0]}
    with tempfile.TemporaryDirectory() as folder:
        direct, winograd = Path(folder) / "direct", Path(folder) / "winograd"
        with mock.patch.object(library, "kernel_table", _without_winograd):
            octavo.compile(model_path(name), target, direct, samples=data)
        octavo.compile(direct / "model.int8.onnx", target, winograd)
        manifest = json.loads((winograd / "manifest.json").read_text())
        served = [s for s in manifest["steps"] if s["variant"].startswith(KERNEL)]
        direct_ms, winograd_ms = _run_in_turn((direct, winograd), samples[0], seconds)
    return {
        "layers": len(served),
        "direct_ms": round(direct_ms, 3),
        "winograd_ms": round(winograd_ms, 3),
    }


def _without_winograd() -> tuple[tuple[type, tuple[Any, ...]], ...]:
    return tuple(
        (kind, tuple(kernel for kernel in kernels if kernel.name != KERNEL))
        for kind, kernels in _WHOLE_TABLE())


_WHOLE_TABLE = library.kernel_table


def _run_in_turn(
    folders: tuple[Path, ...], sample: Mapping[str, Any], seconds: float
) -> list[float]:
    """Lowest time of one run of each artifact, milliseconds."""
    sessions = [octavo.load(folder, num_threads=1) for folder in folders]
    bound = [session.bind({i.name: sample[i.name] for i in session.inputs})
             for session in sessions]
    for _ in range(WARMUP):
        for run in bound:
            run.run()
    for first, other in zip(bound[0].outputs.values(), bound[1].outputs.values(), strict=True):
        np.testing.assert_array_equal(first, other)
    times: list[list[float]] = [[] for _ in bound]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for run, own in zip(bound, times, strict=True):
            start = time.thread_time()
            run.run()
            own.append((time.thread_time() - start) * 1e3)
    for session in sessions:
        session.close()
    return [min(own) for own in times]


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, one line for each network and level."""
    lines = [
        "| network | target | Winograd layers | direct, ms | with Winograd, ms | gain |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['network']} | {r['target']} | {r['layers']} | {r['direct_ms']:.3g} |"
        f" {r['winograd_ms']:.3g} | {r['direct_ms'] / r['winograd_ms']:.2f}x |"
        for r in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
