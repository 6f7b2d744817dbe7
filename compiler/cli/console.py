"""What the command prints, and where: results on stdout, everything else on stderr."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from octavo.compiler.report.units import printable

PIPE_WIDTH = 120  # columns when the output is no terminal, so that tables are not cut at 80


def one_line(text: str) -> str:
    """A message on one line."""
    return printable(" ".join(text.split()))


def to_json_value(value: Any) -> Any:
    """The value in JSON's own types.

    Args:
        value: Records, mappings, sequences, numpy scalars and arrays, paths, numbers, text.

    Returns:
        The same as dict, list, str, int, float, bool and None. JSON has neither infinity nor
        NaN: both become None.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: to_json_value(getattr(value, f.name)) for f in fields}
    if isinstance(value, Mapping):
        return {str(key): to_json_value(item) for key, item in value.items()}
    if isinstance(value, str | Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy, which this module does without
        return to_json_value(value.tolist())
    if isinstance(value, Iterable):
        return [to_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@dataclasses.dataclass
class Console:
    """The output settings of one run of the command.

    Attributes:
        verbosity: -1 with -q, 0, or the number of -v.
        json: Print the result as one JSON document on stdout, and nothing else there.
    """

    verbosity: int = 0
    json: bool = False

    def note(self, text: str) -> None:
        """Say what is going on; -q silences it."""
        if self.verbosity >= 0:
            click.echo(one_line(text), err=True)

    def warn(self, text: str) -> None:
        """Say something that the user must not miss."""
        click.echo(f"warning: {one_line(text)}", err=True)

    def result(self, payload: Any, *human: Any) -> None:
        """Print what the verb was asked for.

        Args:
            payload: The result as data, for --json.
            human: The same as text or rich tables, for people; -q silences it.
        """
        if self.json:
            click.echo(json.dumps(to_json_value(payload), indent=2, allow_nan=False))
        elif self.verbosity >= 0:
            terminal = _terminal()
            for item in human:
                terminal.print(item)


def _terminal() -> Any:
    from rich.console import Console as Terminal

    # Markup and emoji are off: names in models are untrusted. NO_COLOR is rich's own business.
    terminal = Terminal(markup=False, emoji=False, highlight=False)
    if not terminal.is_terminal:
        terminal = Terminal(markup=False, emoji=False, highlight=False, width=PIPE_WIDTH)
    return terminal
