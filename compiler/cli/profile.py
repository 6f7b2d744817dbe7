"""``octavo profile``: where the time of a compiled model goes, on this machine."""

import json
from pathlib import Path
from typing import Any

import click

from octavo.compiler.cli.console import Console, to_json_value
from octavo.compiler.cli.options import (
    EXISTING_FOLDER,
    NEW_PATH,
    READABLE_FILE,
    force_option,
    output_options,
    threads_option,
)
from octavo.compiler.cli.output_file import check_output_file, write_output_file
from octavo.compiler.report.records import LatencyRecord
from octavo.compiler.report.units import count_text, printable, time_text

REPORT = "report.html"  # the page inside an artifact
NUM_SLOWEST = 15  # rows without -v


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
@click.option(
    "--device",
    type=click.Choice(["host"]),
    default="host",
    show_default=True,
    help="Where to run it.",
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
    trace: Path | None,
    report: Path | None,
    num_threads: int,
    force: bool,
) -> None:
    """Measure each kernel of the model in the folder ARTIFACT."""
    for path in (trace, report):
        if path is not None:
            check_output_file(path, force=force)
    from octavo.compiler.artifact.manifest import add_artifact_file
    from octavo.compiler.cli.tensors import read_tensors
    from octavo.compiler.report.chrome_trace import chrome_trace
    from octavo.compiler.report.manifest import report_from_manifest
    from octavo.compiler.report.page import render_page
    from octavo.compiler.session import load

    with load(artifact, num_threads=num_threads) as session:
        names = tuple(port.name for port in session.inputs)
        if input_file is None:
            console.note("no --input: every input is zero")
            inputs = session.zeros()
        else:
            inputs = read_tensors(input_file, names)
        # Whole runs on their own: the clock around each step would be in their time.
        runs_us = session.measure(inputs, runs=runs, warmup=warmup).tolist()
        profiles = session.profile(inputs, runs=runs, warmup=warmup)
        manifest = session.manifest
    samples_us = [profile.latencies_us for profile in profiles]
    facts = report_from_manifest(manifest, samples_us=samples_us, runs_us=runs_us)
    if trace is not None:
        document = chrome_trace(facts.name, facts.steps, samples_us)
        write_output_file(trace, json.dumps(document).encode())
    if report is not None:
        page = render_page(facts).encode()
        if report.resolve() == artifact.resolve() / REPORT:
            add_artifact_file(
                artifact, REPORT, page
            )  # the manifest lists it with its checksum
        else:
            write_output_file(report, page)
    console.result(
        {
            "device": device,
            "num_threads": num_threads,
            "runs": runs,
            "run": facts.run,
            "steps": [
                to_json_value(step) | to_json_value(latency)
                for step, latency in zip(facts.steps, facts.latencies, strict=True)
            ],
        },
        _steps_table(facts, limit=None if console.verbosity > 0 else NUM_SLOWEST),
        _run_line(facts.run, num_runs=runs, num_threads=num_threads) if facts.run else "",
    )


def _steps_table(facts: Any, *, limit: int | None) -> Any:
    """Steps by time, slowest first; in run order with -v."""
    from rich.table import Table

    rows = list(zip(facts.steps, facts.latencies, strict=True))
    if limit is not None:
        rows = sorted(rows, key=lambda row: (-row[1].median_us, row[0].index))[:limit]
    table = Table(box=None, pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("step")
    table.add_column("kernel")
    table.add_column("arithmetic")
    for header in ("MACs", "median", "share", "cumulative"):
        table.add_column(header, justify="right")
    cumulative = 0.0
    for step, latency in rows:
        cumulative += latency.share
        table.add_row(
            str(step.index),
            printable(step.name),
            printable(step.variant),
            step.placement,
            count_text(step.macs),
            time_text(latency.median_us),
            f"{latency.share:.1%}",
            f"{cumulative:.1%}",
        )
    return table


def _run_line(run: LatencyRecord, *, num_runs: int, num_threads: int) -> str:
    return (
        f"whole run: {time_text(run.median_us)}, middle half {time_text(run.low_us)} to"
        f" {time_text(run.high_us)} ({num_runs} runs, {num_threads} thread"
        f"{'s' if num_threads > 1 else ''})"
    )
