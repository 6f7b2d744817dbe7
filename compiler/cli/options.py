"""Options that several verbs share, each defined once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.data_source import is_synthetic

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

MAX_THREADS = 256  # of the C runtime
READABLE_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
EXISTING = click.Path(exists=True, readable=True, path_type=Path)


class _Samples(click.Path):
    """A path of samples, or the word that asks for made-up ones."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        return value if is_synthetic(value) else super().convert(value, param, ctx)


SAMPLES = _Samples(exists=True, readable=True, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
NEW_PATH = click.Path(path_type=Path)


def _set_quiet(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Console).verbosity = -1


def _set_verbose(ctx: click.Context, _: click.Parameter, value: int) -> None:
    if value:
        ctx.ensure_object(Console).verbosity = value


def _set_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Console).json = value


def apply_options(
    function: FunctionT, decorators: tuple[Callable[[Any], Any], ...]
) -> FunctionT:
    """Decorate a command with options, listed in this order."""
    for decorator in reversed(decorators):  # click lists options in decorator order
        function = cast(FunctionT, decorator(function))
    return function


def output_options(function: FunctionT) -> FunctionT:
    """-q, -v and --json: they act on the console, so no verb has a parameter for them."""
    return apply_options(
        function,
        (
            click.option(
                "--json",
                is_flag=True,
                expose_value=False,
                callback=_set_json,
                help="Print the result as JSON on stdout; everything else goes to stderr.",
            ),
            click.option(
                "-q",
                "--quiet",
                is_flag=True,
                expose_value=False,
                callback=_set_quiet,
                help="Print errors and warnings only.",
            ),
            click.option(
                "-v",
                "--verbose",
                count=True,
                expose_value=False,
                callback=_set_verbose,
                help="Print more: full tables, and the traceback of an internal error.",
            ),
        ),
    )


def model_options(function: FunctionT) -> FunctionT:
    """How a model is read."""
    return apply_options(
        function,
        (
            click.option(
                "--shape",
                "shape_texts",
                multiple=True,
                metavar="NAME=D,D,...",
                help="Fix the shape of an input, as in input=1,3,224,224. Repeatable.",
            ),
            click.option(
                "--max",
                "max_texts",
                multiple=True,
                metavar="NAME=SIZE",
                help="Largest size of a dimension that is counted at run time, such as the"
                " edges of a graph. Repeatable.",
            ),
            click.option(
                "--allow-external-data",
                is_flag=True,
                help="Read weights that the model keeps in other files of its own folder.",
            ),
        ),
    )


def quantize_options(function: FunctionT) -> FunctionT:
    """How a float model becomes INT8."""
    return apply_options(
        function,
        (
            click.option(
                "--recipe",
                default="static_wi8_ai8",
                show_default=True,
                metavar="NAME",
                help="What is quantized, and how.",
            ),
            click.option(
                "--calibrator",
                metavar="NAME",
                help="How activation ranges are chosen: minmax, moving_average, percentile,"
                " mse, entropy or degree. The recipe's own when left out; graph networks then"
                " take degree where it measures better.",
            ),
            click.option(
                "--weight-bits",
                type=int,
                metavar="BITS",
                help="Width of weights: 2, 3, 4, 8, 16 or 32 (float). The recipe's own when"
                " left out.",
            ),
            click.option(
                "--activation-bits",
                type=int,
                metavar="BITS",
                help="Width of activations: the same choices.",
            ),
            click.option(
                "--block-size",
                type=int,
                metavar="N",
                help="Give every N input channels of weights of 2 to 4 bits a scale of their"
                " own: 16, 32, 64 or 128. Such layers compute in float.",
            ),
            click.option(
                "--rounding",
                metavar="NAME",
                help="How the integers of weights are chosen: nearest, or by what layers"
                " compute on samples: retuned, adaround, second_order or adaquant. The"
                " recipe's own when left out.",
            ),
            click.option(
                "--rounding-mode",
                metavar="NAME",
                help="What layers read while they are rounded: sequential (the quantized"
                " network's tensors) or parallel (the float network's; faster).",
            ),
            click.option(
                "--keep-float",
                multiple=True,
                metavar="NODE",
                help="Leave a node in float: a name, a glob or an operator type. Repeatable.",
            ),
            click.option(
                "--overrides",
                type=READABLE_FILE,
                metavar="FILE.toml",
                help="Settings for single layers.",
            ),
            click.option(
                "--max-samples",
                type=click.IntRange(min=1),
                metavar="N",
                help="Use the first N samples only.",
            ),
            seed_option(),
        ),
    )


def seed_option(
    what: str = "Seed of everything that draws numbers.",
) -> Callable[[FunctionT], FunctionT]:
    """``--seed``: the same one gives the same result.

    Args:
        what: The option's help.
    """
    return click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help=what,
    )


def tuning_options(function: FunctionT) -> FunctionT:
    """Whether schedules of kernels are measured."""
    return apply_options(
        function,
        (
            click.option(
                "--tune",
                is_flag=True,
                help="Measure which schedules of the kernels are fastest on this machine"
                " (minutes), and keep the results for later compilations.",
            ),
            click.option(
                "--tune-seconds",
                type=click.FloatRange(min=0, min_open=True),
                metavar="S",
                help="Begin no further measurement after S seconds.",
            ),
            click.option(
                "--no-tuned",
                "use_tuned",
                flag_value=False,
                default=True,
                help="Leave out what was measured before, and choose by the models alone.",
            ),
        ),
    )


target_option = click.option(
    "--target",
    required=True,
    metavar="NAME",
    help="What to compile for; `octavo targets` lists the names.",
)
force_option = click.option("--force", is_flag=True, help="Replace the output when it exists.")
threads_option = click.option(
    "--num-threads",
    type=click.IntRange(1, MAX_THREADS),
    default=1,
    show_default=True,
    metavar="N",
    help="Threads that run the model.",
)


def parse_shapes(texts: tuple[str, ...]) -> dict[str, tuple[int | str, ...]] | None:
    """The ``--shape`` options as a mapping; None when there are none."""
    if not texts:
        return None
    from octavo.compiler.importer import parse_shape_option

    pairs = [parse_shape_option(text) for text in texts]
    shapes = dict(pairs)
    if len(shapes) < len(pairs):
        raise click.UsageError("--shape names an input twice")
    return shapes


def parse_maxima(texts: tuple[str, ...]) -> dict[str, int] | None:
    """The ``--max`` options as a mapping; None when there are none."""
    if not texts:
        return None
    from octavo.compiler.importer import parse_max_option

    pairs = [parse_max_option(text) for text in texts]
    maxima = dict(pairs)
    if len(maxima) < len(pairs):
        raise click.UsageError("--max names a dimension twice")
    return maxima
