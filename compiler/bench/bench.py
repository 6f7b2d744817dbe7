"""Compare a network in Octavo with the runtimes that people use today, on this machine."""

import os
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from octavo.compiler.bench.contestant import Runtime
from octavo.compiler.bench.contestants import choose_runtimes
from octavo.compiler.bench.inputs import synthetic_inputs
from octavo.compiler.bench.onnx_files import is_tflite, quantized_inputs
from octavo.compiler.bench.opened_model import (
    OpenedModel,
    open_model,
    quantize_with_peers,
)
from octavo.compiler.bench.program import Inputs
from octavo.compiler.bench.race import Race, run_race
from octavo.compiler.bench.result import BenchResult
from octavo.compiler.bench.subject import Subject, compile_for_bench, find_subject
from octavo.compiler.bench.turns import TurnPlan
from octavo.compiler.devices.inference import checked_inputs, input_names
from octavo.compiler.roofline.machine import this_machine
from octavo.errors import DataError

MAX_SAMPLES = 4  # whose outputs are compared; the first one is timed
GIVEN, SAMPLES, SYNTHETIC = "given", "samples", "synthetic"

Progress = Callable[[str, int, int], None]
PathLike = str | os.PathLike[str]
ReadInputs = Callable[[tuple[str, ...]], Inputs]


def bench(
    paths: Sequence[PathLike],
    *,
    against: Collection[str] | None = None,
    samples: Any = None,
    inputs: Inputs | ReadInputs | None = None,
    num_threads: Sequence[int] = (1,),
    cpus: Sequence[int] = (),
    plan: TurnPlan | None = None,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    maxima: Mapping[str, int] | None = None,
    allow_external_data: bool = False,
    seed: int = 0,
    is_silent: bool = True,
    progress: Progress | None = None,
) -> BenchResult:
    """Run a network everywhere, in turns.

    Args:
        paths: One ONNX or .tflite file, or artifacts of one network, or both. Without
            artifacts the file is compiled for this machine.
        against: Other runtimes, such as "onnxruntime"; None: all that are installed and can
            take the network.
        samples: Calibration data, see ``open_data``; their first inferences are what runs.
        inputs: What runs: an array for each input, or what gives them for the inputs' names;
            None: samples, or made-up numbers.
        num_threads: One table for each.
        cpus: That everything stays on; empty: all.
        plan: How to measure; None: the defaults.
        shapes: Sizes of dimensions that the model leaves open, by input name.
        maxima: Largest sizes of dimensions that are counted at run time, by name.
        allow_external_data: Read weight files beside the model.
        seed: Of made-up numbers.
        is_silent: What the runtimes print is dropped.
        progress: Called with a stage, steps done and steps in all (0 when unknown).

    Raises:
        DataError: Paths are of several networks, or inputs do not fit.
        TargetError: A runtime that was asked for is not installed.
        OctavoError: The model cannot be compiled, or an artifact cannot be run.
        ValueError: ``against`` names no runtime to compare with.
    """
    model, artifacts = _split([Path(path) for path in paths])
    if model is None and samples is not None:
        raise DataError("--data is for a model: an artifact has its numbers; give --input")
    has_tflite = model is not None and is_tflite(model)
    wanted = None if against is None else [Runtime(name) for name in against]
    runtimes, notes = choose_runtimes(wanted, has_tflite=has_tflite)
    report = progress or _silent
    reading = {
        "shapes": shapes,
        "maxima": maxima,
        "allow_external_data": allow_external_data,
    }
    opened = None if model is None else open_model(model, samples, **reading)
    with tempfile.TemporaryDirectory(prefix="octavo-bench-") as name:
        folder = Path(name)
        files: Sequence[tuple[Path, str]] = ()
        if opened is not None and not artifacts:
            options = {**reading, "seed": seed, "progress": report}
            artifacts = compile_for_bench(opened, samples, folder, **options)
            if not opened.is_quantized and samples is None:
                notes += ("no --data: the float model stays float; samples add INT8",)
        if opened is not None and runtimes:
            files, failures = quantize_with_peers(opened, folder)
            notes += failures
        subject = find_subject(opened, artifacts, folder, files)
        kind, arrays = _inputs(subject, opened, inputs, seed)
        race = Race(
            subject=subject, runtimes=runtimes, inputs=arrays, cpus=tuple(cpus),
            plan=plan or TurnPlan(), is_silent=is_silent,
        )  # fmt: skip
        tables, problems = run_race(race, num_threads, report)
    machine = this_machine().cpu
    return BenchResult(inputs=kind, machine=machine, tables=tables, notes=(*notes, *problems))


def _inputs(
    subject: Subject, opened: OpenedModel | None, given: Inputs | ReadInputs | None, seed: int
) -> tuple[str, tuple[Inputs, ...]]:
    artifact = subject.artifacts[0]
    if given is not None:
        arrays = given(input_names(artifact)) if callable(given) else given
        return GIVEN, (checked_inputs(artifact, arrays),)
    if opened is not None and opened.samples is not None:
        first = islice(opened.samples, MAX_SAMPLES)
        return SAMPLES, tuple(checked_inputs(artifact, sample) for sample in first)
    files = subject.quantized_files
    ranges = quantized_inputs(files[0][0]) if files else {}
    seeds = range(seed, seed + MAX_SAMPLES)
    made = (synthetic_inputs(subject.manifests[0], ranges, each) for each in seeds)
    return SYNTHETIC, tuple(made)


def _split(paths: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    models = [path for path in paths if not path.is_dir()]
    if len(models) > 1:
        raise DataError(f"{models[0]} and {models[1]}: one network at a time")
    return (models[0] if models else None), [path for path in paths if path.is_dir()]


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
