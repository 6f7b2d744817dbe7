"""Compile the digits network in float and in INT8, check both, time both, explain the result.

    python -m examples.digits.demo --output build/demo

Everything that is printed was measured in this run, on this machine.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.interleave import Latency, measure_interleaved
from benchmarks.peers.onnxruntime_runner import OnnxRuntimeModel, quantize_int8
from numpy.typing import NDArray

import octavo
from octavo.compiler.artifact.manifest import add_artifact_file
from octavo.compiler.report.bottlenecks import next_bottleneck, peaks_text
from octavo.compiler.report.chrome_trace import chrome_trace
from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.page import render_page
from octavo.compiler.report.records import Report
from octavo.compiler.report.summary import summarize
from octavo.compiler.report.units import decibel_text, size_text, time_text
from octavo.compiler.roofline.artifact_peaks import artifact_peaks

FOLDER = Path(__file__).resolve().parent
MODEL = FOLDER / "digits.onnx"
CALIBRATION = FOLDER / "calibration.npz"
HELD_OUT = FOLDER / "test.npz"
INPUT, OUTPUT = "image", "logits"
PROFILE_RUNS = 200
NUM_SLOWEST = 5

Run = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class Outcome:
    """What the demo measured.

    Attributes:
        accuracy: Share of held-out images that are classified right, by program.
        latency: Time of one call from Python, by program.
        weights_bytes: Size of the weight blob, by own program.
        report: The INT8 artifact, with per-kernel latencies and their roofs.
        compile_s: Seconds that each compilation took, by own program.
    """

    accuracy: dict[str, float]
    latency: dict[str, Latency]
    weights_bytes: dict[str, int]
    report: Report
    compile_s: dict[str, float]


def run_demo(output: Path, *, budget_s: float = 5.0) -> Outcome:
    """Compile, check and time.

    Args:
        output: Folder for the artifacts ``float`` and ``int8``; replaced when they are there.
        budget_s: Seconds for the interleaved timing.
    """
    output.mkdir(parents=True, exist_ok=True)
    compile_s = {}
    for name, options in (
        ("float", {"float_only": True}),
        ("int8", {"samples": CALIBRATION}),
    ):
        start = time.perf_counter()
        octavo.compile(MODEL, "host", output / name, force=True, **options)
        compile_s[name] = time.perf_counter() - start
    with np.load(HELD_OUT) as held_out:
        images, labels = held_out[INPUT], held_out["label"]
    with np.load(CALIBRATION) as calibration:
        samples = [{INPUT: image[None]} for image in calibration[INPUT]]
    ours = {name: octavo.load(output / name) for name in ("float", "int8")}
    theirs = {
        "float": OnnxRuntimeModel(MODEL),
        "int8": OnnxRuntimeModel(quantize_int8(MODEL, samples)),
    }
    runs: dict[str, Run] = {
        "Octavo float": ours["float"].run,
        "Octavo INT8": ours["int8"].run,
        "ONNX Runtime float": theirs["float"].run,
        "ONNX Runtime INT8": theirs["int8"].run,
    }
    one = {INPUT: images[:1]}
    latency = measure_interleaved(
        {name: lambda run=run: run(one) for name, run in runs.items()},  # type: ignore[misc]
        num_warmup=50,
        budget_s=budget_s,
    )
    accuracy = {name: _accuracy(run, images, labels) for name, run in runs.items()}
    runs_us = ours["int8"].measure(one, runs=PROFILE_RUNS, warmup=20).tolist()
    profiles = ours["int8"].profile(one, runs=PROFILE_RUNS, warmup=20)
    for session in ours.values():
        session.close()
    manifest = ours["int8"].manifest
    samples_us = [profile.latencies_us for profile in profiles]
    peaks = artifact_peaks(manifest, num_threads=1)
    report = report_from_manifest(
        manifest, samples_us=samples_us, runs_us=runs_us, peaks=peaks
    )
    add_artifact_file(output / "int8", "report.html", render_page(report).encode())
    trace = chrome_trace(report.name, report.steps, samples_us)
    (output / "trace.json").write_text(json.dumps(trace), encoding="utf-8")
    weights_bytes = {
        name: session.manifest["memory"]["weights_bytes"] for name, session in ours.items()
    }
    return Outcome(accuracy, latency, weights_bytes, report, compile_s)


def _accuracy(run: Run, images: NDArray[Any], labels: NDArray[Any]) -> float:
    guesses = [int(np.argmax(run({INPUT: image[None]})[OUTPUT])) for image in images]
    return float(np.mean(np.array(guesses) == labels))


def describe(outcome: Outcome, output: Path) -> list[str]:
    """The outcome in words, one line each."""
    report, summary = outcome.report, summarize(outcome.report)
    accuracy, weights = outcome.accuracy, outcome.weights_bytes
    lost = 100 * (accuracy["Octavo float"] - accuracy["Octavo INT8"])
    lines = [
        f"Compiled {MODEL.name} for {report.target}: float in"
        f" {outcome.compile_s['float']:.1f} s, INT8 in {outcome.compile_s['int8']:.1f} s",
        "",
        f"{'':22}{'held-out accuracy':>18}{'one call, median':>18}{'middle half':>22}",
    ]
    for name, share in accuracy.items():
        t = outcome.latency[name]
        spread = f"{time_text(t.low_us)} to {time_text(t.high_us)}"
        lines.append(f"{name:22}{share:>18.1%}{time_text(t.median_us):>18}{spread:>22}")
    runs = next(iter(outcome.latency.values())).num_runs
    lines += [
        f"One thread, {runs} rounds in turn. The network is small: much of it is the call",
        "from Python, and the kernels below are the rest.",
        "",
        f"INT8 costs {lost:.1f} points of accuracy"
        if lost > 0
        else "INT8 costs no accuracy here",
        f"Weights: {size_text(weights['int8'])}, in float {size_text(weights['float'])}:"
        f" {weights['int8'] / weights['float']:.3f} of the size",
        f"INT8 kernels do {summary.int8_macs_share:.1%} of the multiply-accumulates",
    ]
    lines += [
        f"In float: {step.name} ({'+'.join(step.op_types)}): {step.reason or 'the boundary'}"
        for step in summary.float_steps
    ]
    if summary.worst_layers:
        worst = summary.worst_layers[0]
        lines.append(
            f"The layer that quantization hurts most: {worst.layer},"
            f" {decibel_text(worst.sqnr_isolated_db)} signal to noise"
        )
    slowest = sorted(
        zip(report.steps, report.latencies, strict=True), key=lambda row: -row[1].median_us
    )
    inside_us = sum(latency.median_us for latency in report.latencies)
    lines += ["", f"Inside the INT8 program ({time_text(inside_us)} in its kernels):"]
    lines += [
        f"  {latency.share:6.1%}  {time_text(latency.median_us):>8}  {step.name}"
        f"  [{step.variant}]"
        for step, latency in slowest[:NUM_SLOWEST]
    ]
    if report.roofline is not None:
        lines += ["", *map(peaks_text, report.roofline.peaks), next_bottleneck(report)]
    return [
        *lines,
        "",
        f"Report:   {output / 'int8' / 'report.html'}",
        f"Trace:    {output / 'trace.json'} (opens in Perfetto or chrome://tracing)",
        f"Program:  {output / 'int8' / 'model.c'}",
    ]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/demo"))
    parser.add_argument("--budget-s", type=float, default=5.0, help="seconds of timing")
    arguments = parser.parse_args()
    outcome = run_demo(arguments.output, budget_s=arguments.budget_s)
    width = shutil.get_terminal_size().columns
    print("-" * min(width, 80))
    print("\n".join(describe(outcome, arguments.output)))


if __name__ == "__main__":
    main()
