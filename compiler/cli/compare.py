"""``octavo compare``: two profiles side by side, with nothing measured."""

from pathlib import Path

import click

from octavo.compiler.cli.console import Console, to_json_value
from octavo.compiler.cli.options import NEW_PATH, READABLE_FILE, force_option, output_options
from octavo.compiler.cli.output_file import check_output_file, write_output_file
from octavo.compiler.cli.profile_output import SORT_ORDERS


@click.command("compare")
@click.argument("before", type=READABLE_FILE, metavar="BEFORE.json")
@click.argument("after", type=READABLE_FILE, metavar="AFTER.json")
@click.option(
    "--sort",
    type=click.Choice(SORT_ORDERS),
    help="Order of the table: by time won or lost, the 15 largest differences and with -v all"
    " of them (the default), or all in run order.",
)
@click.option("--report", type=NEW_PATH, metavar="FILE.html", help="Write a report page.")
@force_option
@output_options
@click.pass_obj
def compare_command(
    console: Console,
    before: Path,
    after: Path,
    sort: str | None,
    report: Path | None,
    force: bool,
) -> None:
    """Compare two profiles that octavo profile --save-profile wrote."""
    if report is not None:
        check_output_file(report, force=force)
    from octavo.compiler.cli.comparison_table import comparison_lines
    from octavo.compiler.report.comparison import compare_profiles
    from octavo.compiler.report.comparison_text import comparison_document
    from octavo.compiler.report.page import render_comparison
    from octavo.compiler.report.profile_document import read_profile

    comparison = compare_profiles(read_profile(before), read_profile(after))
    for warning in comparison.warnings:
        console.warn(warning)
    if report is not None:
        write_output_file(report, render_comparison(comparison).encode())
    document = to_json_value(comparison_document(comparison))
    console.result(document, *comparison_lines(console, comparison, sort=sort))
