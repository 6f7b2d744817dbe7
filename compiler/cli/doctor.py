"""``octavo doctor``: can this machine compile, link and run?"""

from typing import TYPE_CHECKING

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.options import output_options
from octavo.compiler.report.units import printable
from octavo.errors import ToolchainError

if TYPE_CHECKING:
    from octavo.compiler.roofline.peaks import Peaks


@click.command("doctor")
@click.option(
    "--peaks",
    "with_peaks",
    is_flag=True,
    help="Also measure what this machine can do at most, anew; octavo profile uses it.",
)
@output_options
@click.pass_obj
def doctor_command(console: Console, with_peaks: bool) -> None:
    """Check the installation and say how to mend it. Exits with 1 when a check fails."""
    from rich.table import Table

    from octavo.compiler.cli.peaks_table import peaks_table
    from octavo.compiler.doctor import Status, run_checks

    checks = run_checks()
    table = Table(box=None, pad_edge=False)
    for header in ("check", "", "found", "remedy"):
        table.add_column(header)
    for check in checks:
        table.add_row(
            check.name, check.status.value, printable(check.detail), printable(check.remedy)
        )
    failed = [c.name for c in checks if c.status is Status.FAILED]
    peaks = _measure_peaks() if with_peaks and not failed else []
    console.result(
        {
            "checks": [
                {
                    "name": c.name,
                    "status": c.status.value,
                    "detail": c.detail,
                    "remedy": c.remedy,
                }
                for c in checks
            ]
        }
        | ({"peaks": peaks} if with_peaks else {}),
        table,
        *([peaks_table(peaks)] if peaks else []),
    )
    if failed:
        raise ToolchainError(f"failed: {', '.join(failed)}")


def _measure_peaks() -> "list[Peaks]":
    """Of this machine, with one thread and with all."""
    from octavo.compiler.roofline.measure import find_peaks
    from octavo.targets import get_target

    target = get_target("host")
    threads = dict.fromkeys((1, target.num_cores))
    return [find_peaks(target, n, again=True) for n in threads]
