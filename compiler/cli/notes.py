"""Notes under a result: a few of them, unless more are asked for."""

from collections.abc import Iterator, Sequence

from octavo.compiler.cli.console import Console
from octavo.compiler.report.units import printable

NUM_NOTES = 3  # a result stays on one screen


def note_lines(console: Console, notes: Sequence[str]) -> Iterator[str]:
    """Lines for the terminal; -v shows every note, and --json always has them all."""
    shown = notes if console.verbosity > 0 else notes[:NUM_NOTES]
    for note in shown:
        yield f"note            {printable(note)}"
    if len(notes) > len(shown):
        yield f"                {len(notes) - len(shown)} more notes with -v"
