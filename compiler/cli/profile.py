"""``octavo profile``: where the time of a compiled model goes, here or on a device."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.device_option import LOCAL, QEMU, chosen_device, device_option
from octavo.compiler.cli.options import (
    EXISTING_FOLDER,
    READABLE_FILE,
    output_options,
    threads_option,
)
from octavo.compiler.cli.profile_output import (
    TIMES_ONLY,
    ProfileOutput,
    profile_output_options,
    show_profile,
)
from octavo.errors import DeviceError, StoreError, ToolchainError

if TYPE_CHECKING:
    from octavo.compiler.devices.measurement import Measurement
    from octavo.compiler.measurements.latencies import KernelLatency
    from octavo.compiler.roofline.machine import Machine
    from octavo.compiler.roofline.peaks import Peaks


@click.command("profile")
@click.argument("artifact", type=EXISTING_FOLDER)
@click.option(
    "--input",
    "input_file",
    type=READABLE_FILE,
    metavar="FILE.npz",
    help="The inputs; zeros when left out.",
)
@click.option(
    "--runs", type=click.IntRange(min=1), default=50, show_default=True, metavar="N",
    help="Measured runs.",
)  # fmt: skip
@click.option(
    "--warmup", type=click.IntRange(min=0), default=5, show_default=True, metavar="N",
    help="Runs before those, not measured.",
)  # fmt: skip
@device_option
@click.option(
    "--no-roofline",
    is_flag=True,
    help="Times only. The machine's peaks are measured once, which takes seconds, and kept.",
)
@click.option(
    "--no-save", is_flag=True, help="Leave the database of measurements as it is (octavo db)."
)
@profile_output_options
@threads_option
@output_options
@click.pass_obj
def profile_command(
    console: Console,
    artifact: Path,
    input_file: Path | None,
    runs: int,
    warmup: int,
    device: str,
    no_roofline: bool,
    no_save: bool,
    num_threads: int,
    output: ProfileOutput,
) -> None:
    """Measure each kernel of the model in the folder ARTIFACT."""
    output.check()
    if device == QEMU:
        _refuse_times(click.get_current_context())
        from octavo.compiler.cli.counts_table import profile_counts

        profile_counts(console, artifact, input_file, output)
        return
    from octavo.compiler.measurements.profile_rows import profile_rows
    from octavo.compiler.report.manifest import report_from_manifest
    from octavo.compiler.report.profile_document import Origin

    manifest, measured, machine = _measure(
        device, artifact, input_file, runs, warmup, num_threads)
    samples_us = measured.steps_us.tolist()
    if not no_save:
        _save(console, profile_rows(manifest, samples_us, machine, num_threads))
    if input_file is None:
        console.note("no --input: every input is zero")
    # The peaks that are measured are those of this machine.
    is_without = no_roofline or device != LOCAL
    peaks = () if is_without else _peaks(console, manifest, num_threads)
    facts = report_from_manifest(
        manifest,
        samples_us=samples_us,
        runs_us=measured.runs_us.tolist(),
        round_sizes=[r.times.runs_us.size for r in measured.rounds],
        peaks=peaks,
    )
    origin = Origin(
        device=device,
        machine=machine.cpu,
        num_threads=num_threads,
        inputs="zeros" if input_file is None else "given",
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    show_profile(console, artifact, facts, origin, samples_us, output)


def _save(console: Console, rows: "list[KernelLatency]") -> None:
    """Keep measurements; that they cannot be kept takes nothing from what is shown."""
    from octavo.compiler.cli.database import open_database

    try:
        with open_database(console) as store:
            store.add(rows)
    except StoreError as error:
        console.warn(f"not kept: {error}")


def _measure(
    device: str,
    artifact: Path,
    input_file: Path | None,
    runs: int,
    warmup: int,
    num_threads: int,
) -> "tuple[dict[str, Any], Measurement, Machine]":
    """Measure where the artifact is meant to run, this machine or another: in rounds.

    Returns:
        The manifest, what was measured, and the machine that it is of.
    """
    from octavo.compiler.artifact.manifest import read_manifest
    from octavo.compiler.cli.tensors import read_tensors
    from octavo.compiler.devices.inference import checked_inputs, input_names
    from octavo.compiler.devices.round_program import RoundPlan
    from octavo.compiler.devices.rounds import measure_rounds

    inputs = None
    if input_file is not None:
        inputs = checked_inputs(artifact, read_tensors(input_file, input_names(artifact)))
    plan = RoundPlan(runs=runs, warmup=warmup, num_threads=num_threads)
    with chosen_device(device).deploy(artifact) as deployment:
        (measured,) = measure_rounds([deployment], plan, inputs)
        if measured.failure:
            raise DeviceError(measured.failure)
        machine = deployment.machine()
    return read_manifest(artifact), measured, machine


def _refuse_times(context: click.Context) -> None:
    """Refuse options of measured times where there are none."""
    names = ("runs", "warmup", "no_roofline", "num_threads", *TIMES_ONLY)
    for name in names:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            option = f"--{name.removesuffix('_file').replace('_', '-')}"
            raise click.UsageError(f"{option} is about times, which an emulator does not have")


def _peaks(
    console: Console, manifest: dict[str, Any], num_threads: int
) -> "tuple[Peaks, ...]":
    """Peaks of the machine; none, with a warning, where they cannot be measured."""
    from octavo.compiler.roofline.artifact_peaks import artifact_peaks

    try:
        peaks = artifact_peaks(manifest, num_threads)
    except (DeviceError, ToolchainError) as error:
        console.warn(f"no roofline: {error}")
        return ()
    if not all(p.is_steady for p in peaks):
        console.note("the machine is busy: its peaks may be higher, and are not kept")
    return peaks
