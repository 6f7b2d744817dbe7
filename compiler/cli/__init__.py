"""The ``octavo`` command: one file per verb. The only place that prints."""

from octavo.compiler.cli.main import main

__all__ = ["main"]
