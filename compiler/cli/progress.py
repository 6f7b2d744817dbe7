"""A progress bar on a terminal; silence everywhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from octavo.compiler.cli.console import Console, one_line

# Called with a stage, how much of it is done, and how much there is (0 when unknown).
Progress = Callable[[str, int, int], None]


@contextmanager
def progress_bar(console: Console) -> Iterator[Progress | None]:
    """Show the progress of long work on stderr.

    Args:
        console: With -q or --json there is no bar.

    Yields:
        What the work calls, or None when nobody is watching.
    """
    if console.verbosity < 0 or console.json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console as Terminal
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Terminal(stderr=True), transient=True) as bar:
        tasks = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(one_line(stage), total=total or None)
            bar.update(tasks[stage], completed=done, total=total or None)

        yield advance
