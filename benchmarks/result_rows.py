"""Rows of a table of results: one network each, measured in a process of its own, and kept."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

RESULTS = Path(__file__).parent / "results"

Rows = dict[str, Any]


def rows_command(
    benchmark: str,
    usual: Iterable[str],
    measure: Callable[[str], Any],
    table: Callable[[Rows], str],
) -> click.Command:
    """The command line of a benchmark: its arguments are the names of rows.

    Args:
        benchmark: See ``measure_rows``.
        usual: Names that are measured when none is given.
        measure: Measures the row of a name; its result becomes JSON.
        table: Makes Markdown of all rows.
    """

    @click.command(help=f"Measure the rows NAME, or the usual ones: {', '.join(usual)}.")
    @click.argument("names", nargs=-1, metavar="[NAME]...")
    @child_option
    def command(names: tuple[str, ...], child: bool) -> None:
        if child:
            click.echo(json.dumps(measure(names[0])))
        else:
            measure_rows(benchmark, names or usual, table)

    return command


child_option = click.option(
    "--child", is_flag=True, hidden=True, help="Measure one row, print JSON."
)


def measure_rows(benchmark: str, names: Iterable[str], table: Callable[[Rows], str]) -> Rows:
    """Measure networks one after the other, and keep every row as it comes.

    Each is measured by ``python -m benchmarks.BENCHMARK --child NAME``, whose last line of
    output is the row as JSON: memory and caches start alike, and loading the libraries is a
    part of every compile.

    Args:
        benchmark: Module of this package; also the name of the files of results.
        names: Networks to measure.
        table: Makes Markdown of all rows.

    Returns:
        All rows: those of networks that were not measured now are as they were.

    Raises:
        click.ClickException: A measurement failed; what came before it is kept.
    """
    file = RESULTS / f"{benchmark}.json"
    rows: Rows = json.loads(file.read_text()) if file.exists() else {}
    for name in names:
        command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--child", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise click.ClickException(f"{name}: {said[-1]}")
        rows[name] = json.loads(done.stdout.splitlines()[-1])
        click.echo(f"{name}: {rows[name]}", err=True)
        RESULTS.mkdir(exist_ok=True)
        file.write_text(json.dumps(rows, indent=2) + "\n")
        file.with_suffix(".md").write_text(table(rows) + "\n")
    return rows
