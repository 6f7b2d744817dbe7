"""``octavo bench``: a network in Octavo and in other runtimes, in turns on this machine."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from octavo.compiler.cli.console import Console, to_json_value
from octavo.compiler.cli.device_option import LOCAL
from octavo.compiler.cli.measuring import MAX_SECONDS, checked_cores
from octavo.compiler.cli.options import (
    EXISTING,
    MAX_THREADS,
    READABLE_FILE,
    SAMPLES,
    model_options,
    output_options,
    parse_maxima,
    parse_shapes,
    seed_option,
)
from octavo.compiler.cli.progress import progress_bar

SECONDS = 20.0  # of one table
ALL = "all"
# What --against takes, and the names that people also type; see octavo.compiler.bench.
RUNTIMES = ("onnxruntime", "litert", "litert-reference", "openvino")
ALIASES: Mapping[str, str] = {"ort": "onnxruntime", "tflite": "litert", "ov": "openvino"}


def _threads(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:
    """Numbers of threads, each once, in order."""
    found = []
    for part in map(str.strip, text.split(",")):
        if part == ALL:
            found.append(len(os.sched_getaffinity(0)))
        elif part.isdecimal() and 1 <= int(part) <= MAX_THREADS:
            found.append(int(part))
        else:
            raise click.BadParameter(
                f"{part!r} is no number of threads; allowed: 1 to {MAX_THREADS}, and {ALL}",
                context,
                parameter,
            )
    return tuple(dict.fromkeys(found))


def _runtimes(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = [ALIASES.get(part.strip(), part.strip()) for part in text.split(",")]
    for name in names:
        if name not in RUNTIMES:
            raise click.BadParameter(
                f"{name!r} is no runtime to compare with; allowed: {', '.join(RUNTIMES)}",
                context,
                parameter,
            )
    return tuple(dict.fromkeys(names))


@click.command("bench")
@click.argument("paths", type=EXISTING, nargs=-1, required=True, metavar="MODEL|ARTIFACT...")
@click.option(
    "--against",
    callback=_runtimes,
    metavar="LIST",
    help="Runtimes to compare with, of onnxruntime, litert, litert-reference, openvino. All"
    " that are installed and can take the model when left out.",
)
@click.option(
    "--data",
    "samples",
    type=SAMPLES,
    metavar="SAMPLES",
    help="Samples to quantize a float model with; the first ones are its inputs.",
)
@click.option(
    "--input",
    "input_file",
    type=READABLE_FILE,
    metavar="FILE.npz",
    help="The inputs; the first samples, or made-up numbers, when left out.",
)
@click.option(
    "--threads",
    "--num-threads",
    "num_threads",
    callback=_threads,
    default=f"1,{ALL}",
    show_default=True,
    metavar="LIST",
    help=f"Numbers of threads, a table for each; {ALL}: as many as there are CPUs.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, MAX_SECONDS),
    default=SECONDS,
    show_default=True,
    metavar="S",
    help="For each table: measure in turns until all medians are known to 2%, but begin no"
    " round after S.",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), metavar="N", help="Measure so many rounds instead."
)
@click.option(
    "--warmup",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="Runs of each runtime before the first round, not measured.",
)
@click.option(
    "--cores",
    callback=checked_cores,
    default=ALL,
    show_default=True,
    metavar="CORES",
    help="CPUs to stay on: all; big, the fastest; little, the slowest; or a list such as 4-7.",
)
@click.option(
    "--device",
    default=LOCAL,
    metavar="DEVICE",
    help="Only local: octavo profile --device measures artifacts elsewhere.",
)
@model_options
@seed_option("Seed of made-up numbers.")
@output_options
@click.pass_obj
def bench_command(
    console: Console,
    paths: tuple[Path, ...],
    against: tuple[str, ...] | None,
    samples: Any,
    input_file: Path | None,
    num_threads: tuple[int, ...],
    seconds: float,
    rounds: int | None,
    warmup: int,
    cores: str,
    device: str,
    shape_texts: tuple[str, ...],
    max_texts: tuple[str, ...],
    allow_external_data: bool,
    seed: int,
) -> None:
    """Compare a network in Octavo with ONNX Runtime, LiteRT and OpenVINO.

    MODEL is an ONNX or .tflite file, which is compiled for this machine; or give artifacts of
    one network, with or without the file that they were made of. All run in turns, each in a
    process of its own, on the same inputs, and their outputs are compared too.
    """
    if device != LOCAL:
        raise click.UsageError(
            f"--device {device}: bench compares on this machine; octavo profile --device"
            " measures an artifact there"
        )
    shapes, maxima = parse_shapes(shape_texts), parse_maxima(max_texts)
    from octavo.compiler.bench.bench import bench
    from octavo.compiler.bench.document import bench_document
    from octavo.compiler.bench.turns import TurnPlan
    from octavo.compiler.cli.bench_table import bench_lines
    from octavo.compiler.cli.tensors import read_tensors

    with progress_bar(console) as advance:
        result = bench(
            paths,
            against=against,
            samples=samples,
            inputs=None if input_file is None else partial(read_tensors, input_file),
            num_threads=num_threads,
            cpus=_cpus(cores, max(num_threads)),
            plan=TurnPlan(rounds=rounds, seconds=seconds, warmup=warmup),
            shapes=shapes,
            maxima=maxima,
            allow_external_data=allow_external_data,
            seed=seed,
            is_silent=console.verbosity <= 0,
            progress=advance,
        )
    for note in result.notes:
        console.note(note)
    for warning in result.warnings(is_brief=console.verbosity <= 0):
        console.warn(warning)
    document = {"paths": paths, "seed": seed} | bench_document(result)
    console.result(to_json_value(document), *bench_lines(console, result))


def _cpus(cores: str, num_threads: int) -> tuple[int, ...]:
    if cores == ALL:
        return ()
    from octavo.compiler.devices.cores import find_cpus
    from octavo.compiler.devices.program import ProgramDeployment

    here = ProgramDeployment(LOCAL, (), Path())
    return find_cpus(cores, here, num_threads)
