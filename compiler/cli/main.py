"""The entry point: routes to a verb, and turns an error into one line and an exit code."""

import difflib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from octavo import __version__
from octavo.compiler.cli.bench import bench_command
from octavo.compiler.cli.compare import compare_command
from octavo.compiler.cli.compile import compile_command
from octavo.compiler.cli.console import Console, one_line
from octavo.compiler.cli.database import database_command
from octavo.compiler.cli.devices import devices_command
from octavo.compiler.cli.doctor import doctor_command
from octavo.compiler.cli.estimate import estimate_command
from octavo.compiler.cli.explain import explain_command
from octavo.compiler.cli.inspect import inspect_command
from octavo.compiler.cli.package import package_command
from octavo.compiler.cli.profile import profile_command
from octavo.compiler.cli.quantize import quantize_command
from octavo.compiler.cli.run import run_command
from octavo.compiler.cli.search import search_command
from octavo.compiler.cli.search_graph import search_graph_command
from octavo.compiler.cli.targets import targets_command
from octavo.errors import OctavoError

# The order is that of a user's path, and of --help.
COMMANDS: tuple[click.Command, ...] = (
    inspect_command,
    quantize_command,
    estimate_command,
    compile_command,
    search_command,
    search_graph_command,
    run_command,
    profile_command,
    explain_command,
    compare_command,
    bench_command,
    package_command,
    targets_command,
    devices_command,
    database_command,
    doctor_command,
)

EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class _OrderedGroup(click.Group):
    """Lists the verbs in the order of use, and suggests the nearest for a wrong one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.commands, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            known = ", ".join(self.commands)
            raise click.UsageError(
                f"no command {args[0]!r}{hint} (commands: {known})", ctx=ctx
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=_OrderedGroup,
    commands={command.name: command for command in COMMANDS if command.name},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 95},
    epilog=(
        "Exit codes: 0 ok, 1 internal error, 2 usage or bad input, 3 a gate failed,"
        " 4 a device does not answer."
    ),
)
@click.version_option(__version__, prog_name="octavo")
def octavo() -> None:
    """Compile trained ONNX networks into small, self-contained INT8 programs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments after the program's name; those of the process when None.

    Returns:
        The exit code.
    """
    console = Console()
    try:
        code = octavo.main(
            args=None if argv is None else list(argv),
            prog_name="octavo",
            standalone_mode=False,
            obj=console,
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", EXIT_INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return EXIT_USAGE
    except click.ClickException as error:
        return _fail(_usage_message(error), error.exit_code)
    except OctavoError as error:
        if _wants_traceback(console):
            traceback.print_exc()
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        # The reader (head, less) has gone. Python would complain again at its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_INTERNAL
    except OSError as error:
        # The disk is full, a folder is read-only: the user's to mend, so no internal error.
        if _wants_traceback(console):
            traceback.print_exc()
        return _fail(str(error), EXIT_USAGE)
    except Exception as error:  # a fault of ours: one line for the user, and its own exit code
        if _wants_traceback(console):
            traceback.print_exc()
        return _fail(
            f"internal error: {type(error).__name__}: {error} (-v prints the traceback)",
            EXIT_INTERNAL,
        )


def _wants_traceback(console: Console) -> bool:
    return console.verbosity > 0 or bool(os.environ.get("OCTAVO_DEBUG"))


def _usage_message(error: click.ClickException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if isinstance(error, click.UsageError) and context is not None:
        message = f"{message} (see {context.command_path} --help)"
    return message


def _fail(message: str, exit_code: int) -> int:
    click.echo(f"octavo: {one_line(message)}", err=True)
    return exit_code
