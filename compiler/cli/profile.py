"""``octavo profile``: where the time of a compiled model goes, here or on a device."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.device_option import LOCAL, QEMU, device_option
from octavo.compiler.cli.measuring import TIMES_ONLY as MEASURING_ONLY
from octavo.compiler.cli.measuring import (
    Measuring,
    conditions_record,
    measure_artifact,
    measuring_options,
)
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
from octavo.errors import DeviceError, ToolchainError

if TYPE_CHECKING:
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
@device_option
@measuring_options
@click.option(
    "--no-roofline",
    is_flag=True,
    help="Times only. The machine's peaks are measured once, which takes seconds, and kept.",
)
@profile_output_options
@threads_option
@output_options
@click.pass_obj
def profile_command(
    console: Console,
    artifact: Path,
    input_file: Path | None,
    device: str,
    no_roofline: bool,
    num_threads: int,
    measuring: Measuring,
    output: ProfileOutput,
) -> None:
    """Measure each kernel of the model in the folder ARTIFACT."""
    output.check()
    if device == QEMU:
        _refuse_times(click.get_current_context())
        from octavo.compiler.cli.counts_table import profile_counts

        profile_counts(console, artifact, input_file, output)
        return
    from octavo.compiler.example_inputs import examples_note
    from octavo.compiler.report.manifest import report_from_manifest
    from octavo.compiler.report.origin import Origin

    profile = measure_artifact(
        console, device, artifact, input_file, num_threads, measuring)
    manifest, measured = dict(profile.manifest), profile.measured
    samples_us = measured.steps_us.tolist()
    warnings = tuple(
        f"too noisy to be repeated within 5%: {reason}" for reason in profile.noise.reasons)
    for warning in warnings:
        console.warn(warning)
    for note in profile.noise.notes:
        console.note(note)
    if input_file is None:
        console.note(examples_note(manifest))
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
        machine=profile.machine.cpu,
        num_threads=num_threads,
        inputs="zeros" if input_file is None else "given",
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=(*warnings, *profile.noise.notes),
    )
    conditions = conditions_record(profile)
    show_profile(console, artifact, facts, origin, samples_us, output, conditions)


def _refuse_times(context: click.Context) -> None:
    """Refuse options of measured times where there are none."""
    names = (*MEASURING_ONLY, "no_roofline", "num_threads", *TIMES_ONLY)
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
