"""``octavo doctor``: can this machine compile, link and run?"""

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.options import output_options
from octavo.compiler.report.units import printable
from octavo.errors import ToolchainError


@click.command("doctor")
@output_options
@click.pass_obj
def doctor_command(console: Console) -> None:
    """Check the installation and say how to mend it. Exits with 1 when a check fails."""
    from rich.table import Table

    from octavo.compiler.doctor import Status, run_checks

    checks = run_checks()
    table = Table(box=None, pad_edge=False)
    for header in ("check", "", "found", "remedy"):
        table.add_column(header)
    for check in checks:
        table.add_row(
            check.name, check.status.value, printable(check.detail), printable(check.remedy)
        )
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
        },
        table,
    )
    failed = [c.name for c in checks if c.status is Status.FAILED]
    if failed:
        raise ToolchainError(f"failed: {', '.join(failed)}")
