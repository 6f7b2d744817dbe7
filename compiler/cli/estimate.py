"""``octavo estimate``: what a model would take, before it is built or measured."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.database import open_database
from octavo.compiler.cli.options import (
    EXISTING,
    SAMPLES,
    model_options,
    output_options,
    parse_maxima,
    parse_shapes,
    threads_option,
)
from octavo.compiler.report.units import printable, time_text

if TYPE_CHECKING:
    from octavo.compiler.predictor.estimate import Estimate, StepEstimate
    from octavo.compiler.predictor.program_calls import NamedCall
    from octavo.targets.base import Target

NUM_SLOWEST = 15
NUM_HELPFUL = 3
WORTH_MEASURING = 0.05  # of all uncertainty


@click.command("estimate")
@click.argument("model", type=EXISTING)
@click.option("--target", metavar="NAME", help="What to lower a model for; an artifact knows.")
@click.option(
    "--data",
    type=SAMPLES,
    metavar="SAMPLES",
    help="Calibration samples of a float model; noise when left out. `synthetic`: made from"
    " what BatchNormalization stores.",
)
@click.option("--float-only", is_flag=True, help="Leave a float model in float.")
@click.option(
    "--interval",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    metavar="P",
    help="Probability that the measured time lies in the interval.",
)
@click.option(
    "--on",
    "device",
    metavar="TEXT",
    help="Part of a measured device's name, as `octavo db stats` shows it; this machine when"
    " it was measured.",
)
@threads_option
@model_options
@output_options
@click.pass_obj
def estimate_command(
    console: Console,
    model: Path,
    target: str | None,
    data: Path | str | None,
    float_only: bool,
    interval: float,
    device: str | None,
    num_threads: int,
    shape_texts: tuple[str, ...],
    max_texts: tuple[str, ...],
    allow_external_data: bool,
) -> None:
    """Predict the latency of MODEL, an ONNX file or an artifact folder.

    Nothing is built or measured: the kernels that the database knows tell of the others.
    """
    from octavo.compiler.measurements.key import (
        Context,
        code_text,
        device_text,
        toolchain_text,
    )
    from octavo.compiler.predictor.estimate import (
        estimate_latency,
        find_device,
        measured_latencies,
    )
    from octavo.compiler.predictor.trained import trained_predictor
    from octavo.compiler.roofline.machine import this_machine

    is_artifact = model.is_dir()
    model_only = (target, data, float_only or None, shape_texts or None,
                  max_texts or None)
    if is_artifact and any(option is not None for option in model_only):
        raise click.UsageError(
            "an artifact has a target and is quantized: --target, --data, --float-only and"
            " --shape are for ONNX files")
    if not is_artifact and target is None:
        raise click.UsageError("an ONNX file needs --target")
    machine = _target(model, target)
    with open_database(console) as store:
        rows, known_devices = list(store.latencies()), store.statistics()
    code = code_text(machine)
    found = find_device(known_devices, code, device_text(this_machine()), device)
    context = Context(code, found, toolchain_text(), num_threads)
    predictor = trained_predictor(rows, context, machine)
    if is_artifact:
        calls, notes = _artifact_calls(model), list[str]()
    else:
        from octavo.compiler.predictor.lowered_model import lower_model
        from octavo.compiler.predictor.program_calls import calls_of_program

        lowered = lower_model(
            model, machine.name, samples=data, float_only=float_only,
            shapes=parse_shapes(shape_texts), maxima=parse_maxima(max_texts),
            allow_external_data=allow_external_data)
        calls, notes = calls_of_program(lowered.program), list(lowered.notes)
    result = estimate_latency(calls, predictor, measured_latencies(rows, context), interval)
    for note in notes:
        console.note(note)
    console.result(
        {"device": found, "num_threads": num_threads, "estimate": result, "notes": notes},
        *estimate_lines(result, found, is_long=console.verbosity > 0))


def _target(model: Path, name: str | None) -> "Target":
    if name is not None:
        from octavo.targets import get_target

        return get_target(name)
    from octavo.compiler.artifact.manifest import read_manifest
    from octavo.compiler.roofline.artifact_peaks import manifest_target

    return manifest_target(read_manifest(model))


def _artifact_calls(model: Path) -> "list[NamedCall]":
    from octavo.compiler.artifact.manifest import read_manifest
    from octavo.compiler.predictor.program_calls import calls_of_manifest

    return calls_of_manifest(read_manifest(model))


def estimate_lines(result: "Estimate", device: str, *, is_long: bool) -> list[Any]:
    """The estimate for people.

    Args:
        result: The estimate.
        device: What it is for.
        is_long: All steps in run order, with whole names.
    """
    from rich.table import Table

    steps = list(result.steps)
    if not is_long:
        steps = sorted(steps, key=lambda step: -_latency_us(step))[:NUM_SLOWEST]
    table = Table(box=None, pad_edge=False)
    table.add_column("step", overflow="fold" if is_long else "ellipsis", no_wrap=not is_long)
    table.add_column("kernel", no_wrap=True)
    for header in ("latency", "from", "to", "share"):
        table.add_column(header, justify="right")
    table.add_column("")
    all_us = sum(map(_latency_us, result.steps))
    for step in steps:
        prediction = step.prediction
        low, high = ("", "") if step.measured_us is not None else (
            time_text(prediction.low_us), time_text(prediction.high_us))
        table.add_row(
            printable(step.name), printable(step.variant), time_text(_latency_us(step)), low,
            high, f"{_latency_us(step) / all_us:.1%}", _remark(step))
    lines: list[Any] = [table]
    if len(steps) < len(result.steps):
        lines.append(f"the slowest {len(steps)} of {len(result.steps)} steps; -v shows all")
    total = result.total
    lines.append(
        f"one inference: {time_text(total.latency_us)}, with {result.interval:.0%} probability"
        f" {time_text(total.low_us)} to {time_text(total.high_us)},"
        f" on {printable(_short_name(device))}")
    if total.is_extrapolated:
        lines.append(
            "nothing like the extrapolated steps was measured: the interval may be too narrow")
    lines += _helpful(result.steps)
    return lines


def _short_name(device: str) -> str:
    """The CPU, without its caches and features."""
    return re.split(r" (?:L\d:|flags:)", device)[0]


def _latency_us(step: "StepEstimate") -> float:
    return step.prediction.latency_us if step.measured_us is None else step.measured_us


def _remark(step: "StepEstimate") -> str:
    if step.measured_us is not None:
        return "measured"
    return "extrapolated" if step.prediction.is_extrapolated else ""


def _helpful(steps: "tuple[StepEstimate, ...]") -> list[str]:
    """What to measure first."""
    unsure = sorted(steps, key=lambda step: -step.uncertainty)[:NUM_HELPFUL]
    named = [
        f"{printable(step.name)} ({step.uncertainty:.0%} of the uncertainty)"
        for step in unsure if step.uncertainty > WORTH_MEASURING]
    return [f"a measurement would help most for {', '.join(named)}"] if named else []
