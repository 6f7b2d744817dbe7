"""How far the model of the machine is from the best schedules: untuned against tuned.

    python -m benchmarks.tuning [NAME ...]

Every network is compiled twice, without and with ``--tune`` (from nothing: a store of its
own), and the two artifacts take turns, run by run, one thread. The second table lists the
kernels for which another schedule was clearly faster, measured alone. Writes
benchmarks/results/tuning.json and tuning.md.
"""

import json
import os
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

import octavo
from benchmarks.interleave import measure_interleaved
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.artifact.toolchain import cache_folder
from octavo.compiler.measurements.database import database_path
from octavo.compiler.measurements.key import this_context
from octavo.compiler.roofline.machine import this_machine
from octavo.compiler.tuning.records import Choice
from octavo.compiler.tuning.store import TuningStore
from octavo.targets import get_target

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("resnet50", "mobilenet_v2", "vit_tiny")
NUM_CALIBRATION = 16
BUDGET_S = 20.0
PROGRAMS = ("untuned", "tuned")
NOTABLE_GAIN = 1.05  # of a kernel's time; smaller gains are not listed


@click.command()
@click.argument("names", nargs=-1)
@click.option("--budget", default=BUDGET_S, show_default=True, help="seconds per comparison")
def main(names: tuple[str, ...], budget: float) -> None:
    """Measure the networks NAME, or the usual ones."""
    for name in names or NETWORKS:
        row = measure(name, budget)
        click.echo(network_table({name: row}).splitlines()[-1], err=True)
        keep(name, row)


def keep(name: str, row: dict[str, Any]) -> None:
    """Write the results of a network beside those of the others."""
    RESULTS.mkdir(exist_ok=True)
    path, cpu = RESULTS / "tuning.json", this_machine().cpu
    known = json.loads(path.read_text()) if path.is_file() else {}
    rows = known.get("networks", {}) if known.get("cpu") == cpu else {}
    rows[name] = row
    path.write_text(json.dumps({"cpu": cpu, "networks": rows}, indent=1) + "\n")
    (RESULTS / "tuning.md").write_text(f"{network_table(rows)}\n\n{kernel_table(rows)}\n")


def measure(name: str, budget_s: float) -> dict[str, Any]:
    """Compile one network without and with tuning, and time both.

    Args:
        name: Name of a zoo entry.
        budget_s: Seconds of timing.

    Returns:
        Seconds of compiling, milliseconds of running, and what was found for each kernel.
    """
    entry = find_entry(name)
    samples = entry.samples(NUM_CALIBRATION)
    data = {key: np.concatenate([s[key] for s in samples]) for key in samples[0]}
    with tempfile.TemporaryDirectory() as folder:
        untuned, tuned = Path(folder) / "untuned", Path(folder) / "tuned"
        _use_empty_store(Path(folder) / "cache")
        octavo.compile(model_path(name), "host", untuned, samples=data)
        start = time.perf_counter()
        result = octavo.compile(untuned / "model.int8.onnx", "host", tuned, tune=True)
        tune_s = time.perf_counter() - start
        with TuningStore(database_path()) as store:
            choices = list(store.choices(this_context(get_target("host"))).values())
        with octavo.load(untuned) as first, octavo.load(tuned) as second:
            programs = {
                key: partial(session.run, samples[0])
                for key, session in (("untuned", first), ("tuned", second))
            }
            times = measure_interleaved(programs, budget_s=budget_s)
    steps = result.manifest["steps"]
    return {
        "tune_s": tune_s,
        "num_steps": sum(step["schedule"] is not None for step in steps),
        "num_tuned": sum(step["tuned"] for step in steps),
        "latency": {key: asdict(latency) for key, latency in times.items()},
        "kernels": [_kernel_entry(choice) for choice in choices],
    }


def _use_empty_store(folder: Path) -> None:
    """Measure everything anew; the compiled toolchain is as before."""
    shared = cache_folder()
    folder.mkdir()
    for part in ("zig", "runtime"):
        (shared / part).mkdir(exist_ok=True)
        (folder / part).symlink_to((shared / part).resolve())
    os.environ["OCTAVO_CACHE"] = str(folder)


def _kernel_entry(choice: Choice) -> dict[str, Any]:
    return {
        "kernel": choice.key.kernel,
        "operation": json.loads(choice.key.operation),
        "schedule": choice.schedule,
        "latency_us": choice.latency_us,
        "default": choice.default,
        "default_latency_us": choice.default_latency_us,
    }


def network_table(rows: dict[str, Any]) -> str:
    """Whole networks, as Markdown."""
    lines = [
        "| network, one thread, ms | untuned | tuned | untuned / tuned | kernels tuned"
        " | tuning took |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        untuned, tuned = (row["latency"][key]["median_us"] / 1e3 for key in PROGRAMS)
        lines.append(
            f"| {name} | {untuned:.3f} | {tuned:.3f} | {untuned / tuned:.3f}"
            f" | {row['num_tuned']} of {row['num_steps']} | {row['tune_s']:.0f} s |"
        )
    return "\n".join(lines)


def kernel_table(rows: dict[str, Any]) -> str:
    """Kernels for which the model's choice was clearly not the fastest, as Markdown."""
    lines = [
        "| kernel | operation | model's choice | us | measured choice | us | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    entries = [entry for row in rows.values() for entry in row["kernels"]]
    notable = [(entry["default_latency_us"] / entry["latency_us"], entry) for entry in entries]
    for ratio, entry in sorted(notable, key=lambda pair: -pair[0]):
        if ratio >= NOTABLE_GAIN:
            lines.append(
                f"| {entry['kernel']} | {_operation_text(entry['operation'])}"
                f" | {_schedule_text(entry['default'])} | {entry['default_latency_us']:.1f}"
                f" | {_schedule_text(entry['schedule'])} | {entry['latency_us']:.1f}"
                f" | {ratio:.2f} |"
            )
    return "\n".join(lines)


def _operation_text(operation: dict[str, Any]) -> str:
    if operation["type"] != "Conv":
        sizes = [operation[key] for key in ("rows", "cols", "depth") if key in operation]
        return f"{operation['type']} {'x'.join(map(str, sizes))}"
    o = operation
    kernel = f"{o['kernel_h']}x{o['kernel_w']}/{o['stride_h']}"
    return f"{o['in_h']}x{o['in_w']}x{o['in_c']} to {o['out_c']}, {kernel}"


def _schedule_text(schedule: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in schedule.items())


if __name__ == "__main__":
    main()
