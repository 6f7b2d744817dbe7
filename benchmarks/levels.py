"""Every image network on every x86-64 level: python -m benchmarks.levels [NAME ...].

Compiles the same quantized model for each level that this machine runs, and compares the
outputs bit for bit and the latency with the host's artifact, all of them interleaved. Writes
benchmarks/results/levels.json and levels.md.
"""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

import octavo
from benchmarks.interleave import measure_interleaved
from benchmarks.result_rows import child_option, measure_rows
from benchmarks.zoo.registry import ZOO, find_entry
from benchmarks.zoo.store import model_path
from octavo.targets.host import CPUINFO, LEVELS, cpu_flags

NUM_CALIBRATION = 16
NUM_EVALUATION = 2
EVALUATION_SEED = 1
BUDGET_S = 3.0
HOST = "host"
NOT_CONVOLUTIONAL = frozenset({"vit_tiny", "lstm"})


@click.command()
@click.argument("names", nargs=-1)
@child_option
def main(names: tuple[str, ...], child: bool) -> None:
    """Compare the networks NAME, or all that are convolutional; exit 3 on any other bit."""
    if child:
        print(json.dumps(measure(names[0])))
        return
    usual = [entry.name for entry in ZOO if entry.name not in NOT_CONVOLUTIONAL]
    rows = measure_rows("levels", names or usual, table)
    if not all(level["equal"] for row in rows.values() for level in row.values()):
        sys.exit(3)


def measure(name: str) -> dict[str, Any]:
    """Compile one network for every level and compare.

    Args:
        name: Name of a zoo entry.

    Returns:
        By target: whether every output equals the host's, median and fastest milliseconds of
        one thread.
    """
    entry = find_entry(name)
    samples = entry.samples(NUM_CALIBRATION)
    inputs = entry.samples(NUM_EVALUATION, seed=EVALUATION_SEED)
    flags = cpu_flags(CPUINFO)
    targets = [HOST, *(target.name for target, needed in LEVELS if needed <= flags)]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "samples.npz"
        np.savez(data, **{k: np.concatenate([s[k] for s in samples]) for k in samples[0]})
        octavo.compile(model_path(name), HOST, Path(folder) / HOST, samples=data)
        quantized = Path(folder) / HOST / "model.int8.onnx"
        for target in targets[1:]:
            octavo.compile(quantized, target, Path(folder) / target)
        sessions = {target: octavo.load(Path(folder) / target) for target in targets}
        outputs = {t: [s.run(x) for x in inputs] for t, s in sessions.items()}
        programs = {t: partial(s.run, inputs[0]) for t, s in sessions.items()}
        times = measure_interleaved(programs, min_runs=3, budget_s=BUDGET_S * len(targets))
        for session in sessions.values():
            session.close()
    return {
        target: {
            "equal": all(
                np.array_equal(expected[key], found[key])
                for expected, found in zip(outputs[HOST], outputs[target], strict=True)
                for key in expected
            ),
            "median_ms": round(times[target].median_us / 1e3, 4),
            "min_ms": round(times[target].min_us / 1e3, 4),
        }
        for target in targets
    }


def table(rows: dict[str, Any]) -> str:
    """Markdown: milliseconds of one thread; bits other than the host's are marked.

    Of the fastest run: seconds pass between the compiles, and other programs take some of it.
    """
    targets = list(next(iter(rows.values())))
    lines = ["| network | " + " | ".join(targets) + " |", "|---" * (len(targets) + 1) + "|"]
    for name, row in rows.items():
        cells = [
            f"{row[t]['min_ms']:.3g}" + ("" if row[t]["equal"] else " (other bits)")
            for t in targets
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
