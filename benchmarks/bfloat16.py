"""Networks in float32, with products of bfloat16, and in INT8: python -m benchmarks.bfloat16.

Compiles each network three times for this machine, and lets the artifacts' own programs take
turns, one thread on the last CPU. Errors are those of the compiled programs on new samples,
against the float32 one. Writes benchmarks/results/bfloat16.json and bfloat16.md.
"""

import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np

import octavo
from benchmarks.result_rows import measure_rows
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.calibration.signal_to_noise import SignalToNoise
from octavo.compiler.devices.local import LocalDevice
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds

USUAL = ("resnet50", "mobilenet_v2", "vit_tiny", "efficientnet_lite0", "lstm")
NUM_CALIBRATION, NUM_EVALUATION, EVALUATION_SEED = 16, 4, 1
BUDGET_S = 24.0
BUILDS: dict[str, dict[str, Any]] = {
    "float32": {"float_only": True},
    "bf16": {"float_only": True, "float_precision": "bf16"},
    "int8": {},
}


@click.command()
@click.argument("names", nargs=-1)
@click.option("--child", is_flag=True, hidden=True, help="Measure one network, print JSON.")
def main(names: tuple[str, ...], child: bool) -> None:
    """Compare the networks NAME, or the usual ones."""
    if child:
        print(json.dumps(measure(names[0])))
        return
    measure_rows("bfloat16", names or USUAL, table)


def measure(name: str) -> dict[str, Any]:
    """Compile one network in every precision and compare.

    Args:
        name: Name of a zoo entry.

    Returns:
        By precision: milliseconds of the fastest round, of the median one and their interval,
        signal to noise of the worst output in decibels, bytes of weights, share of the
        products in bfloat16 or INT8.
    """
    entry = find_entry(name)
    samples = entry.samples(NUM_CALIBRATION)
    inputs = entry.samples(NUM_EVALUATION, seed=EVALUATION_SEED)
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        folder = Path(text)
        data = folder / "samples.npz"
        np.savez(data, **{k: np.concatenate([s[k] for s in samples]) for k in samples[0]})
        manifests, outputs = {}, {}
        for build, options in BUILDS.items():
            given = {} if options else {"samples": data}
            result = octavo.compile(
                model_path(name), "host", folder / build, **options, **given)
            manifests[build] = result.manifest
            with octavo.load(folder / build) as session:
                outputs[build] = [session.run(x) for x in inputs]
        deployed = [
            stack.enter_context(LocalDevice().deploy(folder / build)) for build in BUILDS]
        plan = RoundPlan(
            seconds=BUDGET_S, cpus=(max(os.sched_getaffinity(0)),), tolerance=0.005,
            with_steps=False)
        measured = measure_rounds(deployed, plan, inputs[0])
    return {
        build: {
            "best_ms": round(min(found.medians_us) / 1e3, 4),
            "median_ms": round(found.latency_us / 1e3, 4),
            "interval_ms": [round(us / 1e3, 4) for us in found.interval_us or ()],
            "sqnr_db": worst_decibels(outputs["float32"], outputs[build]),
            "weights_bytes": manifests[build]["memory"]["weights_bytes"],
            "share": round(_share(manifests[build]["steps"]), 4),
        }
        for build, found in zip(BUILDS, measured, strict=True)
    }


def worst_decibels(expected: list[Any], found: list[Any]) -> float:
    """Signal to noise of the worst output, decibels."""
    ratios = []
    for name in expected[0]:
        ratio = SignalToNoise()
        for exact, rounded in zip(expected, found, strict=True):
            ratio.add(exact[name], rounded[name])
        ratios.append(ratio.decibels())
    return round(min(ratios), 2)


def _share(steps: list[Any]) -> float:
    """Share of the multiply-accumulates that are not of float32 numbers."""
    rounded = sum(step["macs"] for step in steps if step["placement"] != "float32")
    return float(rounded / sum(step["macs"] for step in steps))


def table(rows: dict[str, Any]) -> str:
    """Markdown: milliseconds of one thread, what is won, and what is lost.

    Of the fastest round of each program: other work on the machine takes caches and memory
    from those with the most weights.
    """
    lines = [
        "| network | float32 ms | bf16 ms | int8 ms | float32 / bf16 | bf16 / int8"
        " | bf16 products | bf16 dB | int8 dB | weights MB, float32 / bf16 / int8 |",
        "|---" * 10 + "|",
    ]
    for name, row in rows.items():
        wide, half, byte = (row[build] for build in BUILDS)
        cells = [
            *(f"{build['best_ms']:.3g}" for build in (wide, half, byte)),
            f"{wide['best_ms'] / half['best_ms']:.2f}x",
            f"{half['best_ms'] / byte['best_ms']:.2f}x",
            f"{half['share']:.1%}",
            *(f"{build['sqnr_db']:.1f}" for build in (half, byte)),
            " / ".join(f"{b['weights_bytes'] / 1e6:.3g}" for b in (wide, half, byte)),
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
