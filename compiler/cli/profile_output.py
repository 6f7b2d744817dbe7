"""What ``octavo profile`` shows and writes of what it measured."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octavo.compiler.cli.console import Console, to_json_value
from octavo.compiler.cli.options import NEW_PATH, READABLE_FILE, force_option
from octavo.compiler.cli.output_file import check_output_file, write_output_file

if TYPE_CHECKING:
    from octavo.compiler.report.origin import Origin
    from octavo.compiler.report.records import Report

SORT_ORDERS = ("time", "order")
TIMES_ONLY = ("trace", "csv_file", "save_profile", "compare")  # parameters


@dataclass(frozen=True)
class ProfileOutput:
    """The user's choices.

    Attributes:
        sort: Order of the table, one of ``SORT_ORDERS``; None: not said.
        trace: Chrome trace to write.
        report: Page to write.
        csv: Table to write.
        document: Profile to write.
        compare: Profile to compare with.
        force: Replace files.
    """

    sort: str | None = None
    trace: Path | None = None
    report: Path | None = None
    csv: Path | None = None
    document: Path | None = None
    compare: Path | None = None
    force: bool = False

    def check(self) -> None:
        """Refuse names of files that cannot be written, before anything is measured.

        Raises:
            ArtifactError: See ``check_output_file``.
            DataError: The profile to compare with is none.
        """
        for path in (self.trace, self.report, self.csv, self.document):
            if path is not None:
                check_output_file(path, force=self.force)
        if self.compare is not None:
            from octavo.compiler.report.profile_document import read_profile

            read_profile(self.compare)


def profile_output_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options of ``ProfileOutput``, given to the verb as ``output``."""

    @wraps(function)
    def with_output(
        *arguments: Any,
        sort: str | None,
        trace: Path | None,
        report: Path | None,
        csv_file: Path | None,
        save_profile: Path | None,
        compare: Path | None,
        force: bool,
        **others: Any,
    ) -> None:
        output = ProfileOutput(sort, trace, report, csv_file, save_profile, compare, force)
        function(*arguments, output=output, **others)

    options = (
        click.option(
            "--sort",
            type=click.Choice(SORT_ORDERS),
            help="Order of the table: by time, the 15 slowest steps and with -v all of them"
            " (the default), or all in run order.",
        ),
        click.option(
            "--compare",
            type=READABLE_FILE,
            metavar="BEFORE.json",
            help="Show what has changed since a profile that --save-profile wrote.",
        ),
        click.option(
            "--save-profile",
            type=NEW_PATH,
            metavar="FILE.json",
            help="Write the profile, to compare with.",
        ),
        click.option("--csv", "csv_file", type=NEW_PATH, metavar="FILE.csv",
                     help="Write a table of all steps."),
        click.option("--trace", type=NEW_PATH, metavar="FILE.json",
                     help="Write a Chrome trace."),
        click.option("--report", type=NEW_PATH, metavar="FILE.html",
                     help="Write a report page."),
        force_option,
    )  # fmt: skip
    for option in reversed(options):
        with_output = option(with_output)
    return with_output


def show_profile(
    console: Console,
    artifact: Path,
    facts: "Report",
    origin: "Origin",
    samples_us: Sequence[Sequence[float]],
    output: ProfileOutput,
    conditions: Mapping[str, Any] | None = None,
) -> None:
    """Print a profile, and write the files that were asked for.

    Args:
        console: Where it is printed.
        artifact: The artifact's folder.
        facts: With latencies.
        origin: Where they come from.
        samples_us: Per step, the time of each run in microseconds.
        output: What was asked for.
        conditions: Further entries of the JSON document about the measurement.

    Raises:
        ArtifactError: A file cannot be written.
        DataError: The profile to compare with is none.
    """
    from octavo.compiler.cli.comparison_table import comparison_lines
    from octavo.compiler.cli.profile_table import profile_lines
    from octavo.compiler.cli.report_page import write_page
    from octavo.compiler.report.chrome_trace import chrome_trace
    from octavo.compiler.report.comparison import AFTER, compare_profiles
    from octavo.compiler.report.comparison_text import comparison_document
    from octavo.compiler.report.profile_csv import profile_csv
    from octavo.compiler.report.profile_document import (
        profile_document,
        profile_of,
        read_profile,
    )

    facts = replace(facts, origin=origin)
    document = to_json_value(profile_document(facts, origin, conditions))
    if output.document is not None:
        write_output_file(output.document, _json_bytes(document))
    if output.csv is not None:
        write_output_file(output.csv, profile_csv(facts).encode())
    if output.trace is not None:
        trace = chrome_trace(facts.name, facts.steps, samples_us)
        write_output_file(output.trace, _json_bytes(trace))
    comparison = None
    lines = profile_lines(facts, origin, sort=output.sort, is_wide=console.verbosity > 0)
    if output.compare is not None:
        before = read_profile(output.compare)
        comparison = compare_profiles(before, profile_of(facts, origin))
        document["comparison"] = to_json_value(comparison_document(comparison))
        for warning in comparison.warnings:
            if not warning.startswith(f"{AFTER}: "):  # of this profile, and said already
                console.warn(warning)
        lines += ["", *comparison_lines(console, comparison, sort=output.sort)]
    if output.report is not None:
        write_page(facts, artifact, output.report, comparison)
    console.result(document, *lines)


def _json_bytes(document: Any) -> bytes:
    return (json.dumps(document, allow_nan=False) + "\n").encode()
