"""What ``octavo search`` may choose from, how far it may go, and who works."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from octavo.compiler.cli.device_option import QEMU, checked_device
from octavo.compiler.cli.measuring import checked_cores
from octavo.compiler.cli.options import (
    EXISTING,
    READABLE_FILE,
    FunctionT,
    apply_options,
    seed_option,
    threads_option,
)

if TYPE_CHECKING:
    from octavo.compiler.mixed_precision.options import SearchOptions
    from octavo.passes.layer_format import LayerFormat

NO_DEVICE = "none"
SOLVERS = ("front", "bisection", "integer-program", "reinforce", "random")
_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|KiB|MB|MiB|)", re.ASCII)
_UNITS = {"": 1, "B": 1, "KB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2}


def device_or_none(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> str | None:
    """Refuse what is neither "none" nor a device that has a known form."""
    return text if text == NO_DEVICE else checked_device(context, parameter, text)


def _parsed_bytes(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> float | None:
    if text is None:
        return None
    found = _BYTES.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(
            f"{text!r} is no size such as 250000, 250KB or 0.5MiB", context, parameter
        )
    return float(found[1]) * _UNITS[found[2]]


def search_options(function: FunctionT) -> FunctionT:
    """Formats, solver, limits, and where latency is measured."""
    return apply_options(
        function,
        (
            click.option(
                "--formats", "format_texts", default="w8a8,w4a8,float", show_default=True,
                metavar="LIST",
                help="What a layer may take, the preferred one first: bits of weights (2, 3,"
                " 4, 8, 16) and of what they multiply, or float.",
            ),
            click.option(
                "--solver", type=click.Choice(SOLVERS), default=SOLVERS[0], show_default=True,
                help="How configurations are chosen: front needs no limit and finds the whole"
                " front; the others look for one point within limits.",
            ),
            click.option(
                "--budget", type=click.IntRange(min=1), default=64, show_default=True,
                metavar="N", help="Configurations to evaluate at most.",
            ),
            click.option(
                "--max-drop", type=float, metavar="POINTS",
                help="Limit: points of accuracy lost (needs labels beside the samples).",
            ),
            click.option(
                "--min-sqnr", type=float, metavar="DB",
                help="Limit: signal to quantization noise of the outputs (without labels).",
            ),
            click.option(
                "--max-latency-ms", type=click.FloatRange(min=0, min_open=True), metavar="MS",
                help="Limit: latency on the device.",
            ),
            click.option(
                "--max-instructions", type=click.FloatRange(min=0, min_open=True),
                metavar="N", help="Limit where the device is qemu, which counts.",
            ),
            click.option(
                "--max-size", callback=_parsed_bytes, metavar="SIZE",
                help="Limit: bytes of the weights, such as 250KB or 0.5MiB.",
            ),
            click.option(
                "--max-buffer", callback=_parsed_bytes, metavar="SIZE",
                help="Limit: bytes of activations alive at one time, of a graph network.",
            ),
            click.option(
                "--by", type=click.Choice(("layer", "component")), default="layer",
                show_default=True,
                help="What chooses: each layer, or, of a graph network, each component: what"
                " gathers messages, and layers by what they read.",
            ),
            click.option(
                "--device", callback=device_or_none, metavar="DEVICE",
                help="Where latency is measured: local (the default where this machine runs"
                " the target), ssh://[USER@]HOST[:PORT], adb[:SERIAL]; qemu, which counts"
                " instructions; or none.",
            ),
            threads_option,
            click.option(
                "--cores", callback=checked_cores, default="all", show_default=True,
                metavar="CORES",
                help="CPUs of the device: all; big; little; or a list such as 4-7.",
            ),
            click.option(
                "--measure-seconds", type=click.FloatRange(min=0, min_open=True), default=2.0,
                show_default=True, metavar="S",
                help="Of each program; fewer where the median is known to 2% before.",
            ),
            click.option(
                "--test-data", type=EXISTING, metavar="SAMPLES",
                help="Samples to judge by. Without them every other one of --data is set"
                " aside for that.",
            ),
            click.option(
                "--recipe", default="static_wi8_ai8", show_default=True, metavar="NAME",
                help="What is quantized, and how.",
            ),
            click.option(
                "--calibrator", metavar="NAME",
                help="How activation ranges are chosen; the recipe's own when left out.",
            ),
            click.option(
                "--rounding", default="second_order", show_default=True, metavar="NAME",
                help="How integers of fewer than 8 bits are chosen: nearest, second_order or"
                " adaround.",
            ),
            click.option(
                "--keep-float", multiple=True, metavar="NODE",
                help="Leave a node in float: a name, a glob or an operator type. Repeatable.",
            ),
            click.option(
                "--overrides", type=READABLE_FILE, metavar="FILE.toml",
                help="Settings for single layers.",
            ),
            click.option(
                "--max-samples", type=click.IntRange(min=1), metavar="N",
                help="Use the first N samples only.",
            ),
            seed_option(),
        ),
    )  # fmt: skip


def parse_formats(text: str) -> tuple["LayerFormat", ...]:
    """The formats of ``--formats``.

    Raises:
        click.BadParameter: One is unknown, comes twice, or there is but one.
    """
    from octavo.passes.layer_format import LayerFormat

    try:
        formats = tuple(LayerFormat.parse(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--formats") from None
    if len(set(formats)) != len(formats) or len(formats) < 2:
        raise click.BadParameter(
            f"{text!r}; two formats or more, each once", param_hint="--formats"
        )
    if formats[0].is_float:
        raise click.BadParameter(
            "the first one is what layers have if nothing else pays, and cannot be float",
            param_hint="--formats",
        )
    return formats


def chosen_device(device: str | None, target: str) -> str | None:
    """Where latency is measured: as asked, else here if this machine runs the target.

    Raises:
        TargetError: Nothing measures the target.
    """
    from octavo.targets import get_target
    from octavo.targets.host import missing_flags

    machine = get_target(target)
    if device is None:
        missing = missing_flags(machine)
        return "local" if missing is not None and not missing else None
    if device == NO_DEVICE:
        return None
    machine.check_measurable()
    return device


def limits_of(
    device: str | None,
    max_drop: float | None,
    min_sqnr: float | None,
    max_latency_ms: float | None,
    max_instructions: float | None,
    max_size: float | None,
    max_buffer: float | None = None,
) -> Mapping[str, float]:
    """Limits by name of the objective.

    Raises:
        click.UsageError: They contradict each other, or nothing measures what they are on.
    """
    if max_latency_ms is not None and device in (None, QEMU):
        why = "counts instructions: --max-instructions" if device else "is not given"
        raise click.UsageError(
            f"--max-latency-ms needs a device that has time; --device {why}"
        )
    if max_instructions is not None and device != QEMU:
        raise click.UsageError("--max-instructions goes with --device qemu")
    if max_drop is not None and min_sqnr is not None:
        raise click.UsageError(
            "--max-drop is for samples with labels, --min-sqnr for those without; not both"
        )
    given = {
        "drop": max_drop,
        "noise": None if min_sqnr is None else -min_sqnr,
        "latency": max_latency_ms if max_instructions is None else max_instructions,
        "bytes": max_size,
        "buffer": max_buffer,
    }
    return {name: value for name, value in given.items() if value is not None}


def options_of(
    formats: str,
    solver: str,
    budget: int,
    seed: int,
    limits: Mapping[str, float],
    device: str | None,
    num_threads: int,
    cores: str,
    measure_seconds: float,
    by: str = "layer",
) -> "SearchOptions":
    """What the options ask for."""
    from octavo.compiler.mixed_precision.options import SearchOptions
    from octavo.compiler.selection.options import SelectionOptions

    where = (
        None
        if device is None
        else SelectionOptions(device, num_threads, cores, measure_seconds)
    )
    return SearchOptions(
        parse_formats(formats), solver, budget, seed, limits, where, by == "component"
    )
