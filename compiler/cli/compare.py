"""``octavo compare``: two artifacts in turns on a device, or two profiles that were saved."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from octavo.compiler.cli.console import Console, to_json_value
from octavo.compiler.cli.device_option import QEMU, device_option
from octavo.compiler.cli.options import (
    EXISTING,
    NEW_PATH,
    READABLE_FILE,
    force_option,
    output_options,
    threads_option,
)
from octavo.compiler.cli.output_file import check_output_file, write_output_file
from octavo.compiler.cli.profile_output import SORT_ORDERS

if TYPE_CHECKING:
    from octavo.compiler.report.comparison import Comparison

MAX_SECONDS = 24 * 3600.0
SECONDS = 20.0  # for both; octavo profile has 10 for one
MEASURING = ("device", "input_file", "num_threads", "seconds")  # options for artifacts


@click.command("compare")
@click.argument("before", type=EXISTING)
@click.argument("after", type=EXISTING)
@click.option(
    "--input",
    "input_file",
    type=READABLE_FILE,
    metavar="FILE.npz",
    help="The inputs of both; zeros when left out.",
)
@device_option
@click.option(
    "--seconds",
    type=click.FloatRange(0, MAX_SECONDS),
    default=SECONDS,
    show_default=True,
    metavar="S",
    help="Measure in turns until both medians are known to 2%, but begin no round after S.",
)
@threads_option
@click.option(
    "--sort",
    type=click.Choice(SORT_ORDERS),
    help="Order of the table: by time won or lost, the 15 largest differences and with -v all"
    " of them (the default), or all in run order.",
)
@click.option("--report", type=NEW_PATH, metavar="FILE.html", help="Write a report page.")
@force_option
@output_options
@click.pass_context
def compare_command(
    context: click.Context,
    before: Path,
    after: Path,
    input_file: Path | None,
    device: str,
    seconds: float,
    num_threads: int,
    sort: str | None,
    report: Path | None,
    force: bool,
) -> None:
    """Show what changes from BEFORE to AFTER, layer by layer.

    Both are artifacts, which are measured in turns, or both are profiles that octavo profile
    --save-profile wrote.
    """
    console = context.find_object(Console)
    assert console is not None
    if report is not None:
        check_output_file(report, force=force)
    if before.is_dir() != after.is_dir():
        raise click.UsageError("compare two artifacts or two profiles, not one with the other")
    if before.is_dir():
        if device == QEMU:
            raise click.UsageError("--device qemu has no times to compare")
        artifacts = before, after
        comparison = _measured(console, artifacts, input_file, device, seconds, num_threads)
    else:
        _refuse_measuring(context)
        comparison = _read(before, after)
    from octavo.compiler.cli.comparison_table import comparison_lines
    from octavo.compiler.report.comparison_text import comparison_document
    from octavo.compiler.report.page import render_comparison

    for warning in comparison.warnings:
        console.warn(warning)
    if report is not None:
        write_output_file(report, render_comparison(comparison).encode())
    document = to_json_value(comparison_document(comparison))
    console.result(document, *comparison_lines(console, comparison, sort=sort))


def _refuse_measuring(context: click.Context) -> None:
    for name in MEASURING:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            option = f"--{name.removesuffix('_file').replace('_', '-')}"
            raise click.UsageError(f"{option} is for artifacts: profiles are measured already")


def _read(before: Path, after: Path) -> "Comparison":
    from octavo.compiler.report.comparison import compare_profiles
    from octavo.compiler.report.profile_document import read_profile

    return compare_profiles(read_profile(before), read_profile(after))


def _measured(
    console: Console,
    artifacts: tuple[Path, Path],
    input_file: Path | None,
    device: str,
    seconds: float,
    num_threads: int,
) -> "Comparison":
    from octavo.compiler.artifact.manifest import read_manifest
    from octavo.compiler.cli.device_option import chosen_device
    from octavo.compiler.cli.tensors import read_tensors
    from octavo.compiler.devices.inference import checked_inputs, input_names
    from octavo.compiler.devices.round_program import RoundPlan
    from octavo.compiler.example_inputs import examples_note
    from octavo.compiler.measurements.side_by_side import measure_side_by_side
    from octavo.compiler.report.side_by_side import compare_measured

    inputs = None
    if input_file is None:
        console.note(examples_note(read_manifest(artifacts[0])))
    else:
        for artifact in artifacts:
            arrays = read_tensors(input_file, input_names(artifact))
            inputs = checked_inputs(artifact, arrays)
    plan = RoundPlan(seconds=seconds, num_threads=num_threads)
    found = measure_side_by_side(chosen_device(device), artifacts, plan, inputs)
    kind = "zeros" if inputs is None else "given"
    return compare_measured(found, device=device, num_threads=num_threads, inputs=kind)
