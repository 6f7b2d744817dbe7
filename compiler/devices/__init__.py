"""Where artifacts run: this machine, or an emulator of another one."""

from octavo.compiler.devices.base import Deployment, Device
from octavo.compiler.devices.local import LocalDevice
from octavo.compiler.devices.qemu import QemuDevice

DEVICES: dict[str, Device] = {device.name: device for device in (LocalDevice(), QemuDevice())}

__all__ = ["DEVICES", "Deployment", "Device"]
