"""A network compiled in several formats, whose programs take turns on one core."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import octavo
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.calibration.signal_to_noise import SignalToNoise
from octavo.compiler.devices.local import LocalDevice
from octavo.compiler.devices.measurement import Measurement
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds

NUM_CALIBRATION, NUM_EVALUATION, EVALUATION_SEED = 16, 4, 1
BUDGET_S = 24.0
TOLERANCE = 0.005  # of a median, at which a program has had its turns
REFERENCE = "float32"  # the build that errors are measured against

Builds = Mapping[str, Mapping[str, Any]]  # arguments of octavo.compile, by format
Row = dict[str, Any]


def measure_formats(name: str, target: str, builds: Builds) -> tuple[dict[str, Row], Row]:
    """Compile a network in every format and compare; one thread, on the last CPU.

    Args:
        name: Name of a zoo entry.
        target: One that this machine runs.
        builds: ``REFERENCE`` must be one of them; those in float need no samples.

    Returns:
        By format: milliseconds of the fastest round and of the median one, with its interval,
        signal to noise of the worst output on new samples in decibels; and the manifests.
    """
    entry = find_entry(name)
    samples = entry.samples(NUM_CALIBRATION)
    inputs = entry.samples(NUM_EVALUATION, seed=EVALUATION_SEED)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        data = folder / "samples.npz"
        np.savez(data, **{k: np.concatenate([s[k] for s in samples]) for k in samples[0]})
        manifests, outputs = {}, {}
        for build, options in builds.items():
            given = {} if options.get("float_only") else {"samples": data}
            result = octavo.compile(
                model_path(name), target, folder / build, **options, **given
            )
            manifests[build] = result.manifest
            with octavo.load(folder / build) as session:
                outputs[build] = [session.run(x) for x in inputs]
        measured = take_turns([folder / build for build in builds], inputs[0], BUDGET_S)
    rows = {
        build: {
            "best_ms": round(min(found.medians_us) / 1e3, 4),
            "median_ms": round(found.latency_us / 1e3, 4),
            "interval_ms": [round(us / 1e3, 4) for us in found.interval_us or ()],
            "sqnr_db": worst_decibels(outputs[REFERENCE], outputs[build]),
        }
        for build, found in zip(builds, measured, strict=True)
    }
    return rows, manifests


def take_turns(
    folders: Sequence[Path], inputs: Mapping[str, Any], seconds: float
) -> list[Measurement]:
    """Let the programs of artifacts take turns; one thread, on the last CPU.

    Args:
        folders: Artifacts.
        inputs: Array per input, for all of them.
        seconds: That all together take at most.
    """
    plan = RoundPlan(
        seconds=seconds,
        cpus=(max(os.sched_getaffinity(0)),),
        tolerance=TOLERANCE,
        with_steps=False,
    )
    with ExitStack() as stack:
        deployed = [stack.enter_context(LocalDevice().deploy(folder)) for folder in folders]
        return measure_rounds(deployed, plan, inputs)


def worst_decibels(expected: Sequence[Any], found: Sequence[Any]) -> float:
    """Signal to noise of the worst output, decibels.

    Args:
        expected: Outputs by name, for each sample.
        found: The same of another program.
    """
    ratios = []
    for name in expected[0]:
        ratio = SignalToNoise()
        for exact, rounded in zip(expected, found, strict=True):
            ratio.add(exact[name], rounded[name])
        ratios.append(ratio.decibels())
    return round(min(ratios), 2)
