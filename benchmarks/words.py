"""Activations of 16 bits against float32 and 8 bits: python -m benchmarks.words.

Compiles each network in three formats for a level of x86-64 that this machine runs, and lets
the artifacts' own programs take turns, one thread on the last CPU. Errors are those of the
compiled programs on new samples, against the float32 one. Writes benchmarks/results/words.json
and words.md.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np

import octavo
from benchmarks.bfloat16 import worst_decibels
from benchmarks.result_rows import measure_rows
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.devices.local import LocalDevice
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds

TARGETS = ("x86-64-avx512vnni", "x86-64-avx2")
NETWORKS = ("mobilenet_v2", "resnet50", "ds_cnn")
USUAL = tuple(f"{network}@{target}" for target in TARGETS for network in NETWORKS)
NUM_CALIBRATION, NUM_EVALUATION, EVALUATION_SEED = 16, 4, 1
BUDGET_S = 24.0
BUILDS: Mapping[str, Mapping[str, Any]] = {
    "float32": {"float_only": True},
    "w8a16": {"activation_bits": 16},
    "w8a8": {},
}
KERNELS = ("word_gemm_parts", "word_gemm", "word_depthwise")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--child", is_flag=True, hidden=True, help="Measure one network, print JSON.")
def main(names: tuple[str, ...], child: bool) -> None:
    """Compare NETWORK@TARGET, or the usual ones."""
    if child:
        print(json.dumps(measure(*names[0].split("@"))))
        return
    measure_rows("words", names or USUAL, table)


def measure(name: str, target: str) -> dict[str, Any]:
    """Compile one network in every format and compare.

    Args:
        name: Name of a zoo entry.
        target: A level that this machine runs.

    Returns:
        By format: milliseconds of the fastest round and of the median one, signal to noise of
        the worst output in decibels; and by kernel its share of the products.
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
            given = {} if "float_only" in options else {"samples": data}
            result = octavo.compile(
                model_path(name), target, folder / build, **options, **given
            )
            manifests[build] = result.manifest
            with octavo.load(folder / build) as session:
                outputs[build] = [session.run(x) for x in inputs]
        deployed = [
            stack.enter_context(LocalDevice().deploy(folder / build)) for build in BUILDS
        ]
        plan = RoundPlan(
            seconds=BUDGET_S,
            cpus=(max(os.sched_getaffinity(0)),),
            tolerance=0.005,
            with_steps=False,
        )
        measured = measure_rounds(deployed, plan, inputs[0])
    return {
        build: {
            "best_ms": round(min(found.medians_us) / 1e3, 4),
            "median_ms": round(found.latency_us / 1e3, 4),
            "sqnr_db": worst_decibels(outputs["float32"], outputs[build]),
            "shares": _shares(manifests[build]["steps"]),
        }
        for build, found in zip(BUILDS, measured, strict=True)
    }


def _shares(steps: list[Any]) -> dict[str, float]:
    """Share of the multiply-accumulates that each kernel of 16 bits computes."""
    total = sum(step["macs"] for step in steps)
    found = dict.fromkeys(KERNELS, 0)
    for step in steps:
        kernel = step["variant"].split(".")[0]
        if kernel in found:
            found[kernel] += step["macs"]
    return {kernel: round(macs / total, 4) for kernel, macs in found.items()}


def table(rows: dict[str, Any]) -> str:
    """Markdown: milliseconds of one thread, what is won and what is lost."""
    lines = [
        "Weights of 8 bits with activations of 16, against float32 and 8 bits: one thread,",
        "fastest round of each program, milliseconds; medians in brackets. Shares of the",
        "products by kernel. `python -m benchmarks.words` writes it.",
        "",
        "| network | target | float32 | w8a16 | w8a8 | float32 / w8a16 | w8a16 dB | w8a8 dB"
        " | word_gemm | word_gemm_parts | word_depthwise |",
        "|---" * 11 + "|",
    ]
    for name, row in rows.items():
        wide, words, small = (row[build] for build in BUILDS)
        cells = [
            *name.split("@"),
            *(f"{b['best_ms']:.3g} ({b['median_ms']:.3g})" for b in (wide, words, small)),
            f"{wide['best_ms'] / words['best_ms']:.2f}x",
            *(f"{b['sqnr_db']:.1f}" for b in (words, small)),
            *(
                f"{words['shares'][kernel]:.0%}"
                for kernel in ("word_gemm", "word_gemm_parts", "word_depthwise")
            ),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
