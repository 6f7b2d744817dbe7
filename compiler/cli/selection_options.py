"""``octavo compile --device``: choose what computes each layer by measuring."""

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from octavo.compiler.cli.device_option import QEMU, checked_device
from octavo.compiler.cli.measuring import checked_cores
from octavo.compiler.cli.options import FunctionT, apply_options, threads_option

if TYPE_CHECKING:
    from octavo.compiler.selection.options import SelectionOptions


def selection_options(function: FunctionT) -> FunctionT:
    """Where and how long candidates are measured."""
    return apply_options(
        function,
        (
            click.option(
                "--device",
                callback=checked_device,
                metavar="DEVICE",
                help="Choose what computes each layer, integers or float and which kernel, by"
                " measuring on a device: local, ssh://[USER@]HOST[:PORT], adb[:SERIAL]; or"
                " qemu, which counts instructions. Models of the target choose when left"
                " out.",
            ),
            threads_option,
            click.option(
                "--cores",
                callback=checked_cores,
                metavar="CORES",
                help="CPUs of the device: all; big; little; or a list such as 4-7 or 0,2.",
            ),
            click.option(
                "--measure-seconds",
                type=click.FloatRange(min=0, min_open=True),
                metavar="S",
                help="Of each program in the comparisons that --device makes (4).",
            ),
        ),
    )


def _refuse_times(context: click.Context, cores: str | None, seconds: float | None) -> None:
    """Refuse options of measured times where instructions are counted."""
    is_given = {
        "--num-threads":
            context.get_parameter_source("num_threads") is not ParameterSource.DEFAULT,
        "--cores": cores is not None,
        "--measure-seconds": seconds is not None,
    }  # fmt: skip
    for option in (name for name, given in is_given.items() if given):
        raise click.UsageError(f"{option} is about times, which an emulator does not have")


def selection_of(
    context: click.Context,
    device: str | None,
    num_threads: int,
    cores: str | None,
    seconds: float | None,
) -> "SelectionOptions | None":
    """What the options ask for; None without a device.

    Raises:
        click.UsageError: They contradict each other.
    """
    if device is None:
        given = context.get_parameter_source("num_threads") is not ParameterSource.DEFAULT
        for option, is_given in (
            ("--num-threads", given),
            ("--cores", cores is not None),
            ("--measure-seconds", seconds is not None),
        ):
            if is_given:
                raise click.UsageError(f"{option} goes with --device")
        return None
    if device == QEMU:
        _refuse_times(context, cores, seconds)
    from octavo.compiler.devices.cores import ALL
    from octavo.compiler.selection.options import SECONDS, SelectionOptions

    return SelectionOptions(
        device, num_threads, cores or ALL, SECONDS if seconds is None else seconds)
