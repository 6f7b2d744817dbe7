"""``octavo db``: the measurements that profiles and tuning have left."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from octavo.compiler.cli.console import Console, to_json_value
from octavo.compiler.cli.options import NEW_PATH, READABLE_FILE, force_option, output_options
from octavo.compiler.cli.output_file import check_output_file, write_output_file
from octavo.compiler.report.units import printable

if TYPE_CHECKING:
    from octavo.compiler.measurements.profiles import ProfileStore


@click.group("db")
def database_command() -> None:
    """Look after the database of measurements: what profile and --tune measured."""


def open_database(console: Console) -> "ProfileStore":
    """The user's database; a damaged one is set aside, and the user is told."""
    from octavo.compiler.measurements.profiles import open_profiles

    return open_profiles(console.warn)


@database_command.command("stats")
@output_options
@click.pass_obj
def stats_command(console: Console) -> None:
    """Show what was measured, by device, code and toolchain."""
    from rich.table import Table

    with open_database(console) as store:
        rows = store.statistics()
        path = store.path
    table = Table(box=None, pad_edge=False)
    for header in ("device", "code", "toolchain"):
        table.add_column(header, overflow="fold")
    for header in ("measurements", "kernels"):
        table.add_column(header, justify="right")
    table.add_column("last")
    for row in rows:
        table.add_row(
            printable(row.device), printable(row.code), printable(row.toolchain),
            str(row.num_measurements), str(row.num_operations), printable(row.last_at[:19]))
    console.result(
        {"path": str(path), "groups": [to_json_value(row) for row in rows]},
        *([table] if rows else []),
        f"{sum(row.num_measurements for row in rows)} measurements in {path}",
    )


@database_command.command("export")
@click.argument("file", type=NEW_PATH)
@force_option
@output_options
@click.pass_obj
def export_command(console: Console, file: Path, force: bool) -> None:
    """Write all measurements of kernels to FILE, a line of JSON each."""
    from octavo.compiler.measurements.latencies import to_line

    check_output_file(file, force=force)
    with open_database(console) as store:
        lines = [to_line(latency) for latency in store.latencies()]
    write_output_file(file, "".join(f"{line}\n" for line in lines).encode())
    console.result({"exported": len(lines)}, f"{len(lines)} measurements written to {file}")


@database_command.command("import")
@click.argument("file", type=READABLE_FILE)
@output_options
@click.pass_obj
def import_command(console: Console, file: Path) -> None:
    """Add the measurements of FILE, as export writes it: all of them, or on a mistake none."""
    from octavo.compiler.measurements.latencies import from_line

    with file.open(encoding="utf-8", errors="replace") as lines:
        latencies = [
            from_line(line, number) for number, line in enumerate(lines, 1) if line.strip()
        ]
    with open_database(console) as store:
        _say_added(console, store.add(latencies), len(latencies))


@database_command.command("merge")
@click.argument("file", type=READABLE_FILE)
@output_options
@click.pass_obj
def merge_command(console: Console, file: Path) -> None:
    """Add what FILE, another machine's database, has and this one lacks."""
    with open_database(console) as store:
        _say_added(console, store.merge(file), None)


def _say_added(console: Console, num_new: int, num_read: int | None) -> None:
    known = "" if num_read is None else f"; {num_read - num_new} were there already"
    console.result({"added": num_new}, f"{num_new} measurements added{known}")
