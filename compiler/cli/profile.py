"""``octavo profile``: where the time of a compiled model goes, here or on a device."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from octavo.compiler.cli.console import Console, to_json_value
from octavo.compiler.cli.device_option import LOCAL, QEMU, chosen_device, device_option
from octavo.compiler.cli.options import (
    EXISTING_FOLDER,
    NEW_PATH,
    READABLE_FILE,
    force_option,
    output_options,
    threads_option,
)
from octavo.compiler.cli.output_file import check_output_file, write_output_file
from octavo.errors import DeviceError, StoreError, ToolchainError

if TYPE_CHECKING:
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
@click.option("--trace", type=NEW_PATH, metavar="FILE.json", help="Write a Chrome trace.")
@click.option("--report", type=NEW_PATH, metavar="FILE.html", help="Write a report page.")
@threads_option
@force_option
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
    trace: Path | None,
    report: Path | None,
    no_save: bool,
    num_threads: int,
    force: bool,
) -> None:
    """Measure each kernel of the model in the folder ARTIFACT."""
    for path in (trace, report):
        if path is not None:
            check_output_file(path, force=force)
    if device == QEMU:
        _refuse_times(click.get_current_context())
        from octavo.compiler.cli.counts_table import profile_counts

        profile_counts(console, artifact, input_file, report)
        return
    from octavo.compiler.cli.profile_table import profile_lines
    from octavo.compiler.cli.report_page import write_page
    from octavo.compiler.measurements.profile_rows import profile_rows
    from octavo.compiler.report.bottlenecks import equal_steps_by_gain
    from octavo.compiler.report.chrome_trace import chrome_trace
    from octavo.compiler.report.manifest import report_from_manifest

    measured = _measure_here if device == LOCAL else partial(_measure_there, device)
    manifest, runs_us, samples_us, machine = measured(
        artifact, input_file, runs, warmup, num_threads
    )
    if not no_save:
        _save(console, profile_rows(manifest, samples_us, machine, num_threads))
    if input_file is None:
        console.note("no --input: every input is zero")
    # The peaks that are measured are those of this machine.
    is_without = no_roofline or device != LOCAL
    peaks = () if is_without else _peaks(console, manifest, num_threads)
    facts = report_from_manifest(manifest, samples_us=samples_us, runs_us=runs_us, peaks=peaks)
    if trace is not None:
        document = chrome_trace(facts.name, facts.steps, samples_us)
        write_output_file(trace, json.dumps(document).encode())
    if report is not None:
        write_page(facts, artifact, report)
    found = facts.roofline.steps if facts.roofline else [{}] * len(facts.steps)
    console.result(
        {
            "device": device,
            "num_threads": num_threads,
            "runs": runs,
            "run": facts.run,
            "peaks": peaks,
            "bottlenecks": equal_steps_by_gain(facts),
            "steps": [
                to_json_value(step) | to_json_value(latency) | to_json_value(place)
                for step, latency, place in zip(
                    facts.steps, facts.latencies, found, strict=True
                )
            ],
        },
        *profile_lines(console, facts, num_threads),
    )


def _save(console: Console, rows: "list[KernelLatency]") -> None:
    """Keep measurements; that they cannot be kept takes nothing from what is shown."""
    from octavo.compiler.cli.database import open_database

    try:
        with open_database(console) as store:
            store.add(rows)
    except StoreError as error:
        console.warn(f"not kept: {error}")


# The manifest, times of whole runs, of each step, and the machine that they are of.
Measured = tuple[dict[str, Any], list[float], list[list[float]], "Machine"]


def _measure_here(
    artifact: Path, input_file: Path | None, runs: int, warmup: int, num_threads: int
) -> Measured:
    """Measure on this machine."""
    from octavo.compiler.artifact.toolchain import driver_cache_folder
    from octavo.compiler.cli.tensors import read_tensors
    from octavo.compiler.roofline.machine import this_machine
    from octavo.compiler.session import load

    cache = driver_cache_folder()
    with load(artifact, num_threads=num_threads, cache_folder=cache) as session:
        names = tuple(port.name for port in session.inputs)
        inputs = session.zeros() if input_file is None else read_tensors(input_file, names)
        # Whole runs on their own: the clock around each step would be in their time.
        runs_us = session.measure(inputs, runs=runs, warmup=warmup).tolist()
        profiles = session.profile(inputs, runs=runs, warmup=warmup)
        steps_us = [list(p.latencies_us) for p in profiles]
        return session.manifest, runs_us, steps_us, this_machine()


def _measure_there(
    device: str,
    artifact: Path,
    input_file: Path | None,
    runs: int,
    warmup: int,
    num_threads: int,
) -> Measured:
    """Measure on a device that the artifact is brought to."""
    from octavo.compiler.artifact.manifest import read_manifest
    from octavo.compiler.cli.tensors import read_tensors
    from octavo.compiler.devices.inference import input_names
    from octavo.compiler.devices.latency import measure_times

    inputs = None if input_file is None else read_tensors(input_file, input_names(artifact))
    times, machine = measure_times(
        chosen_device(device), artifact, inputs,
        runs=runs, warmup=warmup, num_threads=num_threads)
    manifest = read_manifest(artifact)
    return manifest, times.runs_us.tolist(), times.steps_us.tolist(), machine


def _refuse_times(context: click.Context) -> None:
    """Refuse options of measured times where there are none."""
    for name in ("runs", "warmup", "no_roofline", "trace", "num_threads"):
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            option = f"--{name.replace('_', '-')}"
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
