"""``--device``: where a verb runs an artifact."""

from typing import TYPE_CHECKING

import click

from octavo.errors import AddressError

if TYPE_CHECKING:
    from octavo.compiler.devices import Device

# The names of octavo.compiler.devices, which imports for long.
LOCAL, QEMU, OPENCL = "local", "qemu", "opencl"
DEVICE_NAMES = (LOCAL, QEMU, OPENCL)


def checked_device(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> str | None:
    """Refuse what has no known form; nothing is asked of the device yet."""
    if text is not None and text not in DEVICE_NAMES:
        try:
            chosen_device(text)
        except AddressError as error:
            raise click.BadParameter(str(error), context, parameter) from None
    return text


device_option = click.option(
    "--device",
    callback=checked_device,
    default=LOCAL,
    show_default=True,
    metavar="DEVICE",
    help="Where to run it: local; qemu, an emulator of the artifact's target; opencl, an"
    " accelerator of this machine; ssh://[USER@]HOST[:PORT]; or adb[:SERIAL].",
)


def chosen_device(text: str) -> "Device":
    """The device of an option's value."""
    from octavo.compiler.devices import find_device

    return find_device(text)
