"""From what the user types to a device."""

from octavo.compiler.devices import adb, ssh
from octavo.compiler.devices.base import Device
from octavo.compiler.devices.local import LocalDevice
from octavo.compiler.devices.opencl import OpenclDevice
from octavo.compiler.devices.qemu import QemuDevice
from octavo.errors import AddressError

# Devices by name.
DEVICES: dict[str, Device] = {
    device.name: device for device in (LocalDevice(), QemuDevice(), OpenclDevice())}
FORMS = (*DEVICES, "ssh://[USER@]HOST[:PORT]", "adb[:SERIAL]")


def find_device(text: str) -> Device:
    """The device of a name or an address; nothing is asked of it yet.

    Args:
        text: One of ``FORMS``.

    Raises:
        AddressError: It is none of them.
    """
    if text in DEVICES:
        return DEVICES[text]
    if text.startswith(f"{ssh.SCHEME}://"):
        return ssh.ssh_device(text)
    if text == adb.SCHEME or text.startswith(f"{adb.SCHEME}:"):
        return adb.adb_device(text)
    raise AddressError(f"no device {text!r}; devices: {', '.join(FORMS)}")
